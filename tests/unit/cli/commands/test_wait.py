"""``edgectl wait`` returns when what it waits for is there, and gives up when it cannot come or not in time."""

import pytest

from edged.api.documents.status import ModelStatus, Refusal, SlotStatus, Status
from edged.cli.commands.wait import wait_for
from edged.errors import DaemonUnreachableError, DeadlineError, NotPermittedError, ValidationFailedError


class FakeTime:
    """A clock that sleeping moves; what it could not represent is how long a poll takes."""

    def __init__(self):
        self.now_s = 0.0
        self.pauses = []

    def monotonic_s(self):
        return self.now_s

    def unix_s(self):
        return self.now_s

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now_s += seconds


def device(state="serving", *, version="1.0.0", model_state="serving", slot_state="good", refused=()):
    slot = SlotStatus(slot="a", state=slot_state, version=version, changed_at=0.0)
    models = (ModelStatus(name="m", state=model_state, active="a", slots=(slot,), refused=refused),)
    return Status(edged="0.1.0", state=state, started_at=0.0, models=models)


def wait(*answers, model=None, version=None, goal="serving", timeout_s=60.0, time=None):
    """Wait on a daemon that gives these answers and then the last one for ever."""
    time = time or FakeTime()
    left = list(answers)

    def poll():
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return wait_for(poll, model=model, version=version, goal=goal, timeout_s=timeout_s, clock=time, sleep=time.sleep)


def test_what_is_already_there_is_not_waited_for():
    time = FakeTime()

    assert wait(device(), time=time) == "The device is serving."
    assert time.pauses == []


def test_a_daemon_that_does_not_run_yet_is_waited_for():
    assert wait(DaemonUnreachableError("Away."), device("idle"), device()) == "The device is serving."


def test_a_version_is_waited_for_while_another_serves():
    answer = wait(device(), device(version="1.1.0"), model="m", version="1.1.0")

    assert answer == "Model m is serving, active version 1.1.0."


def test_a_model_that_is_not_there_yet_is_waited_for():
    empty = Status(edged="0.1.0", state="idle", started_at=0.0, models=())

    assert wait(empty, device(model_state="loading"), device(), model="m").startswith("Model m is serving")


def test_pauses_grow_to_a_bound_and_end_with_the_timeout():
    time = FakeTime()
    with pytest.raises(DeadlineError, match="Not within 6 s: The device is idle"):
        wait(device("idle"), timeout_s=6.0, time=time)

    assert time.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 0.9])


def test_a_refused_version_ends_the_wait_with_its_reason():
    refused = (Refusal(version="1.1.0", digest="0" * 64, reason="Answers differ.", at=0.0),)
    with pytest.raises(ValidationFailedError, match="Answers differ"):
        wait(device(refused=refused), model="m", version="1.1.0")


def test_a_socket_this_user_may_not_open_is_not_waited_for():
    with pytest.raises(NotPermittedError):
        wait(NotPermittedError("No."))


def test_a_version_on_trial_serves_but_is_not_good_yet():
    trial = device(version="1.1.0", slot_state="trial")
    assert wait(trial, model="m", version="1.1.0") == "Model m is serving, active version 1.1.0, on trial."

    answer = wait(trial, device(version="1.1.0"), model="m", version="1.1.0", goal="good")

    assert answer == "Model m is serving, active version 1.1.0."


def test_what_is_good_but_another_version_is_waited_for():
    with pytest.raises(DeadlineError, match=r"active version 1\.0\.0\."):
        wait(device(), model="m", version="1.1.0", goal="good", timeout_s=1.0)
