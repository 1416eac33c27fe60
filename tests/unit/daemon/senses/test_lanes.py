"""Reading beside the loop: what is slow keeps nobody waiting, and is never asked twice at once."""

import asyncio
import threading

import pytest

from edged.daemon.senses.lanes import Lanes
from tests.fakes.clocks import ManualClock


class Slow:
    """Something that answers when it is let."""

    def __init__(self):
        self.gate = threading.Event()
        self.asked = 0

    def __call__(self):
        self.asked += 1
        assert self.gate.wait(120)
        return f"slow {self.asked}"


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.gate.set()


def values(lanes):
    return {name: answer.value for name, answer in lanes.answers.items()}


async def until(is_so):
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - a thread tells nobody
            await asyncio.sleep(0)


async def test_everything_is_read_by_one_thread():
    threads = []
    lanes = Lanes({name: lambda: threads.append(threading.get_ident()) for name in "abc"}, ManualClock())

    await lanes.look()

    assert len(threads) == 3
    assert len(set(threads)) == 1
    assert threads[0] != threading.get_ident()


async def test_what_is_slow_keeps_nobody_else_waiting(slow):
    lanes = Lanes({"a": lambda: 1, "slow": slow, "b": lambda: 2}, ManualClock(), patience_s=0.01)

    await lanes.look()
    await until(lambda: len(lanes.answers) == 2)

    assert values(lanes) == {"a": 1, "b": 2}


async def test_several_slow_things_keep_nobody_else_waiting():
    slow = [Slow(), Slow(), Slow()]
    reads = {f"slow {number}": one for number, one in enumerate(slow)}
    lanes = Lanes(reads | {"fast": lambda: 1}, ManualClock(), patience_s=0.01)

    await lanes.look()
    await until(lambda: values(lanes) == {"fast": 1})

    for one in slow:
        one.gate.set()


async def test_what_is_stuck_is_not_asked_again_until_it_has_answered(slow):
    clock = ManualClock()
    lanes = Lanes({"slow": slow, "fast": clock.monotonic_s}, clock, patience_s=0.01)
    await lanes.look()
    clock.advance(5.0)
    await lanes.look()
    await until(lambda: values(lanes).get("fast") == 1005.0)
    assert slow.asked == 1

    slow.gate.set()
    await until(lambda: "slow" in lanes.answers)
    await lanes.look()
    await until(lambda: values(lanes)["slow"] == "slow 2")


async def test_an_answer_is_as_old_as_its_question(slow):
    clock = ManualClock()
    lanes = Lanes({"slow": slow}, clock, patience_s=0.01)
    await lanes.look()
    clock.advance(60.0)
    slow.gate.set()
    await until(lambda: "slow" in lanes.answers)

    assert lanes.answers["slow"].at_s == 1000.0
