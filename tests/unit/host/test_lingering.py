"""When the daemon stays awake for an answer: after a short run, with one under way, and with a core to spare."""

import msgspec
import pytest

from edged.host.channel import Channel
from edged.host.under_way import LINGER_S, SHORT_S
from tests.fakes.far_ends import answer
from tests.fakes.handle_runs import floats, request, turn_loop

SHORT, LONG = 0.9 * SHORT_S, 1.1 * SHORT_S


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """Those of the machine, whatever it has."""
    found = {0, 1}
    monkeypatch.setattr("edged.host.under_way.os.sched_getaffinity", lambda _: found)
    return found


@pytest.fixture
def lingered(monkeypatch):
    """How long, each time."""
    found = []
    monkeypatch.setattr(Channel, "linger", lambda _, for_s: found.append(for_s))
    return found


@pytest.fixture
def run(worker, far, endings):
    """Run a request to its end."""

    async def run(run_s):
        number = worker.run([request()], endings.of(run_s))
        far.receive()
        await turn_loop()
        far.say(msgspec.structs.replace(answer(number, floats(2, 1.0)), run_s=run_s), [floats(2, 1.0)])
        await endings.wait()

    return run


async def test_the_answer_of_a_run_is_waited_for_awake_after_a_short_one(run, lingered):
    await run(SHORT)
    assert lingered == [], "nothing was known"

    await run(LONG)
    assert lingered == [LINGER_S]
    await run(SHORT)
    assert lingered == [LINGER_S], "the last one was long"


async def test_with_several_runs_under_way_nobody_stays_awake(worker, endings, run, lingered):
    await run(SHORT)
    for name in ("one", "other"):
        worker.run([request()], endings.of(name))
    await turn_loop()

    assert lingered == []


async def test_an_answer_that_has_come_already_is_not_waited_for(worker, far, endings, run, lingered):
    await run(SHORT)
    number = worker.run([request()], endings.of("early"))
    far.receive()
    far.say(answer(number, floats(2, 1.0)), [floats(2, 1.0)])
    worker._runs.drain()
    await turn_loop()

    assert lingered == []


@pytest.mark.usefixtures("one_core")
async def test_on_one_core_the_worker_needs_it(run, lingered):
    await run(SHORT)
    await run(SHORT)

    assert lingered == []


@pytest.fixture
def one_core(cores):
    cores.discard(1)
