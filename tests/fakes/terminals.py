"""A person at a terminal: a program on a pseudo-terminal of its own, whose prompts are waited for and answered; or as if on one."""

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fakes.patience import PATIENCE_S


class Person:
    """Runs ``edge-publish`` and sees what a person would see, passphrases not echoed.

    Args:
        arguments: Of ``edge-publish``.
        stdout: Where its results go; the terminal sees the rest.
        environment: Added to this process's.
    """

    def __init__(self, *arguments: object, stdout: Path, environment: dict[str, str] | None = None) -> None:
        self._near, far = os.openpty()
        path = os.pathsep.join(p for p in sys.path if p)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_PUBLISH_")}
        # A session of its own on the terminal: passphrases are read from /dev/tty.
        command = ["setsid", "--ctty", sys.executable, "-m", "edged.publish.main", *map(str, arguments)]
        with stdout.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdin=far, stdout=out, stderr=far, env=inherited | {"PYTHONPATH": path} | (environment or {})
            )
        os.close(far)
        self.seen = ""
        """Everything so far."""
        self._fresh = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _value: BaseException | None, _t: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._near)

    def answers(self, prompt: str, answer: str) -> None:
        """Wait until the text after the last answer ends in ``prompt``, and type a line."""
        self.sees(prompt, at_end=True)
        self._fresh = ""
        os.write(self._near, f"{answer}\n".encode())

    def sees(self, text: str, *, at_end: bool = False) -> None:
        """Wait until some text is there, wherever its lines are broken."""
        deadline = time.monotonic() + PATIENCE_S
        while not (self._fresh.rstrip(" ").endswith(text) if at_end else text in " ".join(self._fresh.split())):
            ready, _, _ = select.select([self._near], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{text!r} was not shown; on the screen: {self._fresh!r}"
            assert self._read(), f"the program ended before {text!r}; on the screen: {self._fresh!r}"

    def interrupts(self) -> int:
        """Type Ctrl-C and return the exit code."""
        os.write(self._near, b"\x03")
        return self.leaves()

    def is_killed(self) -> None:
        """Lose the power."""
        self._process.kill()
        self._process.wait()

    def leaves(self) -> int:
        """Wait for the end, and return the exit code."""
        while self._read():
            pass
        return self._process.wait(PATIENCE_S)

    def _read(self) -> bool:
        try:
            data = os.read(self._near, 65536)
        except OSError:  # EIO: nobody has the other side any more
            return False
        # What was typed and echoed comes with a carriage return, as does what was printed.
        text = data.decode(errors="replace").replace("\r\n", "\n")
        self.seen += text
        self._fresh += text
        return bool(data)
