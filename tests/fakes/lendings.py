"""A real worker in threads here that connections are lent to, with a model that a test makes, or stops in the middle of a run."""

import threading

import numpy as np

from edged.telemetry.row import CODES
from edged.worker.arrangement import IN_PLACE_BYTES
from tests.fakes.backends import FakeBackend
from tests.fakes.borrowers import Lending
from tests.fakes.near_ends import NearEnd
from tests.fakes.workers import spec_of, worker_spec

MODEL = b"model"
X, Y = spec_of("x", "FP32", (-1,)), spec_of("y", "FP32", (-1,))
ONE = np.ones(3, np.float32)
LARGE = np.arange(IN_PLACE_BYTES // 4, dtype=np.float32)


class Gate:
    """A model that tells when it runs and waits until it may go on, or is stopped."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.leave = threading.Semaphore(0)
        self.running = 0
        self.most_running = 0
        self.order: list[float] = []

    def __call__(self, x, stop):
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.order.append(float(x[0]))
        self.entered.release()
        while not stop.is_set() and not self.leave.acquire(timeout=0.01):
            pass
        self.running -= 1
        return {"y": x}


class Bench:
    def __init__(self, directory, model, *, inputs=(X,), outputs=(Y,), **settings) -> None:
        spec = worker_spec(MODEL, inputs, outputs, **settings)
        self.worker = NearEnd(spec, FakeBackend({MODEL: model}), directory, MODEL)

    def __enter__(self) -> Lending:
        self.worker.__enter__()
        self.worker.load()
        self.lending = Lending(self.worker)
        return self.lending

    def __exit__(self, *error: object) -> None:
        self.lending.close()
        self.worker.__exit__(*error)

    def mistake(self) -> BaseException:
        return self.worker.mistake()


def double(x):
    return {"y": x * 2}


def counted(lending) -> dict[str, int]:
    return {code: count for code, count in zip(CODES, lending.board.counts(), strict=False) if count}
