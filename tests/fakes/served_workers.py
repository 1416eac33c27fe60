"""Workers for the scheduler without processes: a run ends when a test says so. And a time that stands still until a test moves it."""

import asyncio
from types import SimpleNamespace

import pytest

from edged.bundle.manifest import Batching, Variant
from edged.config.schema import ServeConfig
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.poison import PoisonList
from edged.daemon.serving.served import Served
from edged.errors import EdgedError, WorkerLostError
from edged.ids import ModelName, Version
from edged.pipeline.pipeline import Pipeline, Steps
from edged.telemetry.serving import ServingStats
from tests.fakes.requests import FEATURES, Asked, echoes, request_of
from tests.fakes.workers import spec_of, variant_of

REST_S = 600.0


async def settle() -> None:
    """Let everything happen that can happen without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


class HeldTime:
    """The running loop's clock, standing still; its timers fire when a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now_s)

    async def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        await settle()


class FakeRun:
    """A run that a fake worker was given."""

    def __init__(self, requests, ended, rank: int) -> None:
        self.requests = requests
        self.rank = rank
        self.ended = ended
        self.is_over = False

    @property
    def asked(self) -> bytes:
        """The bytes of all its requests, whatever the worker was sent in their place."""
        return b"".join(bytes(request.inputs[0].data) for request in self.requests)

    def end(self, outcomes) -> None:
        assert not self.is_over, "a run ends once"
        self.is_over = True
        self.ended(outcomes)

    def answer(self) -> None:
        """Give everybody their own inputs back."""
        self.end(echoes(self.requests))

    def fail(self, error: EdgedError) -> None:
        self.end([error] * len(self.requests))


class FakeWorker:
    """Takes runs, and ends them when told to."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.lost = asyncio.Event()
        self.ended_with_template = False
        self.unconfined = ()
        self.runs: list[FakeRun] = []
        self.stopped: list[FakeRun] = []
        self.is_closed = False

    @property
    def is_usable(self) -> bool:
        return not self.lost.is_set()

    @property
    def under_way(self) -> list[FakeRun]:
        return [run for run in self.runs if not run.is_over]

    @property
    def asked(self) -> list[bytes]:
        """What it was given, run by run."""
        return [run.asked for run in self.runs]

    def run(self, requests, ended, *, rank: int = 0) -> int:
        self.runs.append(FakeRun(requests, ended, rank))
        return len(self.runs) - 1

    def stop(self, run: int) -> None:
        assert not self.runs[run].is_over, "nobody stops a run that has ended"
        assert self.runs[run] not in self.stopped, "nobody stops a run twice"
        self.stopped.append(self.runs[run])

    def answer_all(self) -> None:
        """Answer until nothing is under way any more."""
        while self.under_way:
            self.under_way[0].answer()

    def die(self, error: EdgedError | None = None) -> None:
        """End, with everything that is under way."""
        self.lost.set()
        for run in self.under_way:
            run.fail(error or WorkerLostError("the worker ended"))

    async def infer(self, inputs, outputs=(), *, timeout_s, scale=1.0):
        raise NotImplementedError

    async def close(self) -> None:
        self.is_closed = True
        if not self.lost.is_set():
            self.die()


class Starter:
    """Starts fake workers, numbered from 1; each of ``troubles`` makes one start fail."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.troubles: list[Exception] = []

    async def __call__(self, *_what) -> FakeWorker:
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop(0)
        self.workers.append(FakeWorker(len(self.workers) + 1))
        return self.workers[-1]

    @property
    def last(self) -> FakeWorker:
        return self.workers[-1]


def loadable_of(version: str = "1.0.0", *, name: str = "echo", max_rows: int = 0, **steps: Steps) -> Loadable:
    """A model that takes rows of bytes, or ``FEATURES`` where there are steps before it; nothing of it is on a disk."""
    rows = spec_of("x", "UINT8", (-1, 1))
    variant = variant_of(b"model", [FEATURES if steps.get("pre") else rows], [rows])
    if max_rows:
        variant = Variant(**{field: getattr(variant, field) for field in variant.__struct_fields__} | {
            "batching": Batching(max_rows=max_rows)
        })  # fmt: skip
    manifest = SimpleNamespace(
        name=name,
        model=ModelName(name),
        version=version,
        semver=Version.parse(version),
        pipeline=Pipeline(inputs=(rows,), **steps, outputs=variant.outputs),
    )
    return Loadable(bundle=SimpleNamespace(manifest=manifest, digest=f"digest of {version}"), variant=variant)


class Bench:
    """A served model with a fake worker, and those who ask it."""

    def __init__(self, time: HeldTime, served: Served, starter: Starter, limits: dict[str, object]) -> None:
        self.time = time
        self.served = served
        self.starter = starter
        self.limits = limits
        """Of ``ServeConfig``; in force from the next request on."""

    @property
    def worker(self) -> FakeWorker:
        """The one that was started last."""
        return self.starter.last

    def ask(self, data: bytes = b"0", *, within_s: float = 30.0, **options) -> Asked:
        asked = Asked(request_of(data, deadline_s=self.time.now_s + within_s, **options))
        self.served.submit(asked.call)
        return asked


async def start_bench(
    monkeypatch: pytest.MonkeyPatch, *, parallel: int = 1, max_rows: int = 0, max_queued: int = 64
) -> Bench:
    """Start it; the caller runs ``served.keep_running``."""
    time, starter, limits = HeldTime(monkeypatch), Starter(), {"max_queued": max_queued}
    loadable = loadable_of(max_rows=max_rows)
    served = Served(
        loadable,
        await starter(),
        start_worker=starter,
        parallel=parallel,
        limits=lambda: ServeConfig(**limits),
        stats=ServingStats(),
        poison=PoisonList(rest_s=REST_S),
    )
    return Bench(time, served, starter, limits)
