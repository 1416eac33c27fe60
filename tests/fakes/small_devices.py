"""The lifecycle without processes: real slots, state and store, workers that answer at once, and a kit that says what a test wants."""

import asyncio
import shutil
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from edged.config.schema import ServeConfig
from edged.daemon.lifecycle import lifecycle
from edged.daemon.serving import keeper
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.ids import Version
from edged.runtime.tensors import InferResult, Tensor
from edged.store.state import StateDb
from tests.fakes.bundles import make_bundle
from tests.fakes.daemons import ADDER, Daemon, Disk
from tests.fakes.served_workers import FakeWorker, settle

ANSWER = InferResult(
    outputs=(Tensor(name="sum", dtype="FP32", shape=(1, 1), data=struct.pack("<f", 1.0)),), run_s=0.001
)


class Cut(BaseException):
    """The end of the daemon, at a moment of the test's choosing."""


class AnsweringWorker(FakeWorker):
    """Answers every run in the loop's next turn: with ``error`` if it has one, else with ``answer``; not at all while it ``hangs``."""

    answer = ANSWER
    error: Exception | None = None
    hangs = False

    def run(self, requests, ended, *, rank: int = 0) -> int:
        number = super().run(requests, ended, rank=rank)
        if not self.hangs:
            asyncio.get_running_loop().call_soon(self._answer, number)
        return number

    def _answer(self, number: int) -> None:
        run = self.runs[number]
        if not run.is_over:
            run.end([self.error or self.answer] * len(run.requests))


class Starter:
    """Starts such workers; each of ``troubles`` makes one start fail."""

    def __init__(self) -> None:
        self.troubles: list[Exception] = []
        self.in_shadow: list[AnsweringWorker] = []
        """Those that nobody waits for."""
        self._started = 0

    async def start(self, _loadable: Loadable, _memory: object) -> AnsweringWorker:
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop(0)
        self._started += 1
        return AnsweringWorker(self._started)

    async def start_in_background(self, loadable: Loadable, memory: object) -> AnsweringWorker:
        self.in_shadow.append(await self.start(loadable, memory))
        return self.in_shadow[-1]


class SmallDisk(Disk):
    """A store and a state directory, and how the world around them is.

    Args:
        directory: Of its own.
        bundles: Built before, by version.
    """

    def __init__(self, directory: Path, bundles: Mapping[str, Path]) -> None:
        super().__init__(directory)
        self.verdicts: dict[str, BaseException | type[BaseException] | None] = {}
        """What the kit says of a version, when it is not well."""
        self.writes_left: int | None = None
        """Moves that are written before the daemon is cut off; None for all."""
        self.is_cut_after = False
        """The move at which it is cut off is on the disk."""
        self.moves: list[str] = []
        """Those that were to be written, since the test cleared them."""
        self._bundles = bundles

    def stage(self, version: str, *, name: str = "adder", **options: object) -> Path:
        if name != ADDER:
            return super().stage(version, name=name, **options)
        target = self.layout.bundle(ADDER, Version.parse(version))
        if not target.exists():
            shutil.copytree(self._bundles[version], target)
        self.roll_out(version, name=name)
        return target

    @asynccontextmanager
    async def start(self, *troubles: Exception, **settings: object) -> AsyncIterator[Daemon]:
        """Start the daemon, with settings of ``Daemon``; ends without a word."""
        with closing(StateDb.open(self.state)) as state:
            starter = Starter()
            starter.troubles.extend(troubles)
            async with Serving(
                start_worker=starter.start, parallel=1, poison_rest_s=600.0, limits=ServeConfig
            ) as serving:
                daemon = Daemon(self.layout, state, starter, serving)
                for name, value in settings.items():
                    setattr(daemon, name, value)
                await daemon.lifecycle.boot()
                await settle()
                yield daemon

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have kit and disk do as this says."""
        write = StateDb.write_model

        async def check(loadable: Loadable, _model: object, **_options: object) -> None:
            verdict = self.verdicts.get(loadable.bundle.manifest.version)
            if verdict is not None:
                raise verdict

        def write_or_end(state: StateDb, *args: object, **options: object) -> None:
            # None of them where only the variant of a version is another one.
            self.moves.extend(entry.reason.partition(":")[0] for entry in options["entries"][:1])
            if self.writes_left is None:
                write(state, *args, **options)
                return
            self.writes_left -= 1
            if self.writes_left >= 0 or self.is_cut_after:
                write(state, *args, **options)
            if self.writes_left < 0:
                raise Cut

        monkeypatch.setattr(lifecycle, "check_model", check)
        monkeypatch.setattr(keeper, "RESTART_WAITS_S", (0.0,))
        monkeypatch.setattr(StateDb, "write_model", write_or_end)


def build_bundles(directory: Path, *versions: str) -> dict[str, Path]:
    """Build bundles of the adder."""
    return {version: make_bundle(directory, version=version) for version in versions}
