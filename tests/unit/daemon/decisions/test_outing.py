"""A call that is out of the device is finished once, by whoever has it last."""

import pytest

from edged.api.ports import Taken
from edged.daemon.decisions.outing import Outing, Outings
from edged.errors import HostUnreachableError, ModelStoppedError, UnavailableError
from edged.ids import ModelName
from edged.runtime.tensors import InferResult
from tests.fakes.requests import Asked, request_of, rows_of

ECHO = ModelName("echo")
FAILED = HostUnreachableError("nobody there")
STOPPED = ModelStoppedError("stopped")
ANSWER = InferResult(outputs=(rows_of(b"c"),), run_s=0.1)
HERE = Taken(model="the model here", decision="the rule here", scale=0.5, is_cached=True)


class Outside:
    """A call on its way out, and where it goes; the device takes what comes back."""

    def __init__(self) -> None:
        self.asked = Asked(request_of())
        self.taken = Taken(model="the cloud", decision="the rule", is_offloaded=True)
        self.sent, self.ran_here = [], 0
        self.trouble: Exception | None = None
        self.outings = Outings()

    def begin(self, *, may_run_here: bool = True) -> None:
        outing = Outing(self.asked.call, self.taken, run_here=self._run_here if may_run_here else None)
        self.outings.begin("echo", outing, self.asked.call, self._submit)

    def _submit(self, call) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.sent.append(call)

    def _run_here(self) -> Taken:
        self.ran_here += 1
        return HERE

    @property
    def is_out(self) -> bool:
        """It is among those that a stop ends."""
        return any(self.outings._out.values())


@pytest.fixture
def outside():
    return Outside()


def test_nothing_is_remembered_of_what_is_over(outside):
    outside.begin()
    assert outside.is_out
    outside.sent[0].finish(ANSWER)

    assert outside.asked.answer == b"c"
    assert not outside.is_out


def test_nothing_is_remembered_of_what_could_not_go_out(outside):
    outside.trouble = FAILED
    with pytest.raises(HostUnreachableError):
        outside.begin(may_run_here=False)

    assert not outside.is_out


@pytest.mark.parametrize("could_go_out", [True, False])
def test_a_stop_leaves_what_runs_here_by_now_to_whoever_runs_it(outside, could_go_out):
    """It still reads the inputs; they may be given back only when it has ended."""
    outside.trouble = None if could_go_out else FAILED
    outside.begin()
    for call in outside.sent:
        call.finish(FAILED)
    outside.outings.stop(ECHO, STOPPED)

    assert outside.ran_here == 1
    assert not outside.asked.is_finished


def test_its_caller_is_told_what_came_of_it_here(outside):
    outside.begin()
    outside.sent[0].finish(FAILED)

    assert outside.taken == HERE
    assert not outside.taken.is_offloaded


def test_whoever_leaves_is_not_answered_here(outside):
    outside.begin()
    outside.asked.call.abandon()
    outside.sent[0].finish(UnavailableError("its caller left"))

    assert (outside.ran_here, outside.asked.error.message) == (0, "its caller left")


def test_a_stop_is_of_one_model(outside):
    outside.begin()
    outside.outings.stop(ModelName("other"), STOPPED)
    assert not outside.asked.is_finished

    outside.outings.stop(ECHO, STOPPED)
    assert outside.asked.error is STOPPED
