"""A candidate in the shadow, with real workers and models that agree, disagree, are slow, hang or crash."""

import asyncio
import os
import signal
import struct
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.daemon.serving.asking import ask as ask_model
from edged.ids import ModelName
from edged.runtime.calls import Request, SequenceStep
from edged.runtime.tensors import Tensor
from edged.store.slots import SlotState
from edged.worker.confine import BACKGROUND_NICE
from tests.fakes.bundles import adder_answer
from tests.fakes.daemons import ADDER, HELLO, Disk, until
from tests.fakes.plain_bundles import make_total_bundle

RULES = ShadowRules(share=1.0, min_s=10.0, min_requests=20, max_s=1000.0)


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path)


@asynccontextmanager
async def in_shadow(disk, **options):
    """A device whose 1.0.0 is good and whose 1.1.0, made with options of the bundle, is in the shadow."""
    disk.stage("1.0.0")
    async with disk.start() as device:
        await device.lifecycle.look()
        device.shadow = RULES
        disk.stage("1.1.0", **options)
        await device.lifecycle.look()
        assert device.slots.b.state is SlotState.SHADOW
        yield device
        await device.lifecycle.end_cleanly()


def run_of(device):
    return device.lifecycle.shadows._watches[ADDER].run


def found(device):
    return run_of(device).found


async def ask(device, data: bytes = HELLO, *, times: int = 20) -> None:
    """Ask, and let the candidate follow."""
    for _ in range(times):
        before = found(device).requests
        version, answer = await device.answer(data)
        assert (version, answer) == ("1.0.0", adder_answer(data))
        await until(lambda before=before: found(device).requests > before)


async def test_candidate_that_agrees_is_activated(disk):
    async with in_shadow(disk) as device:
        await ask(device)
        assert found(device).agreement == 1.0
        device.clock.advance(10.0)
        await device.lifecycle.look()

        assert (device.slots.active, (await device.answer())[0]) == ("b", "1.1.0")


async def test_candidate_that_disagrees_is_turned_down_and_no_app_has_seen_it(disk):
    """Its kit says that it is right: only the version before can tell."""
    async with in_shadow(disk, more=1.0) as device:
        await ask(device)
        await device.lifecycle.look()

        assert device.slots.b.state is SlotState.BAD
        assert "output sum" in device.slots.b.reason
        assert await device.answer() == ("1.0.0", adder_answer(HELLO))


async def test_large_requests_are_compared_and_their_memory_is_given_back(disk):
    async with in_shadow(disk) as device:
        await ask(device, b"x" * (1 << 20), times=2)

        assert (found(device).requests, found(device).agreed) == (2, 2)
        assert device.serving._names.take(ADDER).memory.taken_bytes == 0


async def test_worker_of_a_candidate_gives_way_to_all_others(disk):
    async with in_shadow(disk) as device:
        candidate, active = (served.pid for served in (run_of(device)._worker, device.serving.served[ADDER].worker))

        lowest = os.getpriority(os.PRIO_PROCESS, active) + BACKGROUND_NICE
        assert os.getpriority(os.PRIO_PROCESS, candidate) == min(lowest, 19)
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in _threads(candidate)} == {
            os.getpriority(os.PRIO_PROCESS, candidate)
        }, "what its threads do, too"


def _threads(pid: int) -> list[int]:
    return [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]


def _states(pid: int) -> set[str]:
    """Return what the threads of a process do, as proc_pid_stat(5) calls it; what is in brackets before that is a name."""
    return {
        Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()[0] for thread in _threads(pid)
    }


async def test_candidate_that_crashes_is_turned_down(disk):
    async with in_shadow(disk) as device:
        for _ in range(TrialRules().max_worker_losses + 1):
            worker = run_of(device)._worker
            os.kill(worker.pid, signal.SIGKILL)
            await worker.lost.wait()
            await device.lifecycle.look()

        assert device.slots.b.state is SlotState.BAD
        assert "workers were lost" in device.slots.b.reason
        assert (await device.answer())[0] == "1.0.0"


async def test_candidate_that_hangs_costs_apps_nothing(disk):
    async with in_shadow(disk) as device:
        worker = run_of(device)._worker
        os.kill(worker.pid, signal.SIGSTOP)
        # Until one of its threads has taken the signal, the others go on.
        await until(lambda: _states(worker.pid) == {"T"})
        for _ in range(50):
            assert (await device.answer())[0] == "1.0.0"

        stats = device.lifecycle.shadows.stats[ADDER]
        assert stats.results["shed"] == 50 - 16, "what there is no room for is not kept"
        assert device.serving.stats(ADDER).requests == {"ok": 50 + _kits(device)}


def _kits(device) -> int:
    """Requests of the daemon itself: the kit that the first version ran once more when it was activated."""
    return sum(1 for _ in (device.serving.served[ADDER].loadable.bundle.directory / "kit" / "samples").iterdir())


async def test_candidate_that_takes_longer_than_any_request_may_is_turned_down(disk):
    async with in_shadow(disk) as device:
        run = run_of(device)
        run._timeout_s = lambda: 0.0
        await ask(device)
        await device.lifecycle.look()

        assert device.slots.b.state is SlotState.BAD
        assert "requests failed in the shadow" in device.slots.b.reason


TOTAL = ModelName("total")


def tensor_of(value: float) -> Tensor:
    return Tensor(name="x", dtype="FP32", shape=(1,), data=struct.pack("<f", value))


@pytest.mark.parametrize(("more", "agreed"), [(0.0, 6), (1.0, 0)])
async def test_sequences_are_followed_with_their_state(disk, more, agreed):
    """A candidate that was asked some of the steps only, or in another order, would give other sums."""
    disk.stage_built(make_total_bundle(disk.directory / "first"))
    async with disk.start() as device:
        await device.lifecycle.look()

        async def add(id_: int, value: float, *, start: bool = False) -> float:
            deadline_s = asyncio.get_running_loop().time() + 20.0
            step = SequenceStep(id=id_, is_start=start)
            request = Request(inputs=[tensor_of(value)], deadline_s=deadline_s, uid=7, sequence=step)
            result = await ask_model(lambda call: device.serving.submit("total", None, call), request)
            return struct.unpack("<f", bytes(result.outputs[0].data))[0]

        await add(1, 1.0, start=True)
        device.shadow = RULES
        disk.stage_built(make_total_bundle(disk.directory / "second", version="1.1.0", more=more))
        await device.lifecycle.look()
        run = device.lifecycle.shadows._watches[TOTAL].run

        sums = [await add(1, 1.0), await add(2, 5.0, start=True), await add(3, 7.0, start=True)]
        sums += [await add(2, 5.0), await add(3, 7.0), await add(2, 5.0), await add(3, 7.0)]
        await until(lambda: run.found.requests == 6)

        assert sums == [2.0, 5.0, 7.0, 10.0, 14.0, 15.0, 21.0]
        assert (run.found.agreed, run.found.failures, run.shed) == (agreed, 0, 0)
        await device.lifecycle.end_cleanly()
