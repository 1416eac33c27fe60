"""Runs of a worker handle whose far end a test plays: requests, answers in rooms, and what the runs ended with."""

import asyncio
import mmap
import os
from contextlib import contextmanager

import numpy as np

from edged.runtime.calls import Request
from edged.runtime.tensors import Tensor
from edged.runtime.wire import (
    Answered,
    Ran,
    TensorHead,
)
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import spec_of, worker_spec

MB = 1 << 20
SPEC = worker_spec(b"model", [spec_of("x", "FP32", (-1,))], [spec_of("y", "FP32", (-1,))])


class Endings:
    """Keeps what runs ended with, by the names the test gave them."""

    def __init__(self):
        self.outcomes = {}
        self._changed = asyncio.Event()

    def of(self, name):
        def ended(outcomes):
            assert name not in self.outcomes, "a run ends once"
            self.outcomes[name] = outcomes
            self._changed.set()

        return ended

    async def wait(self, count=1):
        async with asyncio.timeout(PATIENCE_S):
            while len(self.outcomes) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.outcomes


def floats(count, value=1.0):
    return np.full(count, value, dtype="<f4").tobytes()


def request(count=2, value=1.0, **options):
    tensor = Tensor(name="x", dtype="FP32", shape=(count,), data=floats(count, value))
    return Request(inputs=[tensor], deadline_s=0.0, **options)


@contextmanager
def mapped(descriptor, size):
    with mmap.mmap(descriptor, size) as view:
        yield view


def close_all(descriptors):
    for descriptor in descriptors:
        os.close(descriptor)


async def turn_loop():
    """Let everything happen that is ready to."""
    for _ in range(5):
        await asyncio.sleep(0)


def lying_answer(run, place, size, **changes):
    head = TensorHead(
        **{"name": "y", "dtype": "FP32", "shape": (size // 4,), "size": size}
        | {"segment": place.segment, "offset": place.offset}
        | changes
    )
    return Ran(run=run, answers=(Answered(tensors=(head,)),))
