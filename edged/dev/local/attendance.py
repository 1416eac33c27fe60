"""Looks after a developer's models: has bundles made of them, names them to the daemon, and sees when a file changes.

One bundle is made at a time, by a process of its own without privileges (``edged.dev.local.building``). All of this happens when
``look`` is called, which takes no longer than copying a file and one question to the daemon: whoever calls has other processes to look
after.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.api.documents.status import STATUS_PATH, ModelStatus, Status
from edged.cli.exits import Exit, print_error
from edged.cli.http import Client
from edged.cli.table import printable
from edged.codec import decode_json
from edged.config.schema import PathsConfig
from edged.dev.local.building import MODULE, Built
from edged.dev.local.document import NAME, LocalModel, LocalModels, write_models
from edged.dev.local.wanted import Stamp, Wanted
from edged.dev.privileges import Privileges, give
from edged.dev.supervision import signals_put_off
from edged.errors import DaemonUnreachableError, EdgedError, UnavailableError

ANSWER_WITHIN_S: Final = 5.0
"""Of the daemon, when it is asked how models are; it is asked again."""


@dataclass(slots=True, kw_only=True)
class _Attended:
    """One model, and how far it is."""

    wanted: Wanted
    stamp: Stamp = None
    """Of what was made last, or is being made."""
    seen: Stamp = None
    """At the last look: a file that is being written is left alone until it rests."""
    built: Built | None = None
    is_awaited: bool = False
    """The daemon has been told of it, and has not said yet what came of it."""
    answering: str | None = None
    """The version of which the daemon said so last, which is not that of ``built`` where it refused that."""


class Attendance:
    """Looks after all of them.

    Args:
        models: What is wanted.
        place: Directory for copies, examples and the document that names models.
        paths: Of the daemon.
        python: How to start the interpreter without privileges.
        privileges: Of that.
        environ: Of that.
    """

    def __init__(
        self,
        models: Sequence[Wanted],
        *,
        place: Path,
        paths: PathsConfig,
        python: Sequence[str],
        privileges: Privileges,
        environ: Mapping[str, str],
    ) -> None:
        self.document = place / NAME
        self.models = [_Attended(wanted=wanted) for wanted in models]
        self._place = place
        self._paths = paths
        self._python = python
        self._privileges = privileges
        self._environ = environ
        self._making: tuple[_Attended, subprocess.Popen[bytes]] | None = None

    def prepare(self) -> int:
        """Make all of them, one after the other, before anything else runs.

        Returns:
            0, or the exit code of the process that could not make one, which has said why.

        Raises:
            UsageError: A file cannot be read.
            BundleError: A bundle is not what it says.
        """
        if not self.models:
            return 0
        self._place.mkdir(exist_ok=True)
        give(self._place, self._privileges)
        for model in self.models:
            try:
                process = self._begin(model)
                output, _ = process.communicate()
            finally:
                self.close()
            if process.returncode:
                return max(process.returncode, Exit.FAILED)  # one that a signal ended has a negative one
            self._take(model, output)
        return 0

    def look(self) -> None:
        """Do what can be done now."""
        if self._making is not None:
            self._finish(*self._making)
        for model in self.models:
            stamp = model.wanted.stamp()
            if stamp is not None and stamp == model.seen != model.stamp and self._making is None:
                self._begin_again(model)
            model.seen = stamp
        if any(model.is_awaited for model in self.models):
            self._ask()

    def close(self) -> None:
        """End what is being made."""
        if self._making is not None:
            _, process = self._making
            process.terminate()
            process.wait()
            self._making = None

    def _begin(self, model: _Attended) -> "subprocess.Popen[bytes]":
        model.stamp = model.wanted.stamp()
        print(f"{model.wanted.name}: trying {model.wanted.source}", file=sys.stderr, flush=True)
        copy = model.wanted.copy_to(self._place)
        give(copy, self._privileges)
        options = {
            "--place": self._place,
            "--store": self._paths.store,
            "--in-use": self._paths.in_use,
            "--socket": self._paths.app_socket,
        }
        words = [str(word) for pair in options.items() for word in pair]
        command = [*self._python, "-m", MODULE, model.wanted.name, str(copy), str(model.wanted.source), *words]
        with signals_put_off():
            process = subprocess.Popen(  # noqa: S603 - our own command
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self._environ, process_group=0
            )
            self._making = model, process
        return process

    def _begin_again(self, model: _Attended) -> None:
        try:
            self._begin(model)
        except EdgedError as exc:
            self._complain(model, exc)

    def _finish(self, model: _Attended, process: "subprocess.Popen[bytes]") -> None:
        if process.poll() is None:
            return
        self._making = None
        output, _ = process.communicate()
        if process.returncode:
            self._complain(model, None)
            return
        self._take(model, output)

    def _take(self, model: _Attended, output: bytes) -> None:
        """Name to the daemon what there is now, if that is something new."""
        before, model.built = model.built, decode_json(Built, output, source=MODULE)
        if before is not None and before.version == model.built.version:
            print(f"{model.wanted.name}: nothing has changed since {before.version}", file=sys.stderr, flush=True)
            return
        model.is_awaited = True
        models = {
            str(model.wanted.name): LocalModel(version=model.built.version, source=str(model.wanted.source))
            for model in self.models
            if model.built is not None
        }
        write_models(self.document, LocalModels(models=models))

    def _ask(self) -> None:
        """Find out what came of those that are awaited."""
        try:
            status = Client(self._paths.app_socket, timeout_s=ANSWER_WITHIN_S).get(STATUS_PATH, Status)
        except (DaemonUnreachableError, UnavailableError):
            return  # not yet, or not any more
        found = {model.name: model for model in status.models}
        for model in self.models:
            if model.is_awaited and model.built is not None and (now := found.get(model.wanted.name)) is not None:
                model.is_awaited = not self._is_told(model, model.built, now)

    @staticmethod
    def _is_told(model: _Attended, built: Built, now: ModelStatus) -> bool:
        """Say what came of a version, once that is known; tells whether it is."""
        name = f"{model.wanted.name} {built.version}"
        active = next((slot.version for slot in now.slots if slot.slot == now.active), None)
        if active == built.version and now.state == "serving":
            model.answering = active
            print(f"{name} answers (unsigned, {model.wanted.source}; made anew when that changes):", flush=True)
            for command in built.commands:
                print(f"  {command}", flush=True)
            return True
        refusal = next((refused for refused in now.refused if refused.version == built.version), None)
        if refusal is not None:
            model.answering = active
            goes_on = f"; {active} goes on answering" if active else ""
            print(f"{name} is refused: {printable(refusal.reason)}{goes_on}", file=sys.stderr, flush=True)
        return refusal is not None

    @staticmethod
    def _complain(model: _Attended, error: EdgedError | None) -> None:
        if error is not None:
            print_error(error)
        if model.answering is not None:
            print(f"{model.wanted.name}: {model.answering} goes on answering", file=sys.stderr, flush=True)
