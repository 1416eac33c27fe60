"""The updater's loop: states, waits, and what is said once."""

import logging

import pytest

from edged import journal
from edged.config.schema import UpdateConfig
from edged.errors import DiskFullError, EdgedError, HostUnreachableError, IncompatibleError, MetadataExpiredError
from edged.update.messages import Finding, failure_of
from edged.update.phases import Phase, Progress
from edged.update.service import Service
from edged.update.status_file import read_status
from edged.update.waiting import StopAskedError
from tests.fakes.clocks import ManualClock
from tests.fakes.waits import ScriptedWaits

WELL = Finding(checked_unix_s={})


def failing(error: EdgedError, **details) -> Finding:
    return Finding(failure=failure_of(error, **details), checked_unix_s={})


class Script:
    """A poller that plays answers; the last one repeats."""

    def __init__(self, *answers, during=None):
        self.answers = list(answers)
        self.asked_for = []
        self.during = during

    def poll(self, report, *, is_asked_for):
        self.asked_for.append(is_asked_for)
        if self.during:
            self.during(report)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make(tmp_path, clock):
    def service(poller, *, waits=None, interval_s=1e6, backoff_min_s=1e6):
        return Service(
            poller=poller,
            repository="https://models.test/",
            config=UpdateConfig(backoff_min_s=backoff_min_s, backoff_max_s=2e6),
            poll_interval_s=interval_s,
            status_path=tmp_path / "status.json",
            clock=clock,
            waits=waits or ScriptedWaits(),
            draw=lambda: 0.5,
        )

    return service


def run(service):
    """Run the service until its waits stop it."""
    with pytest.raises(StopAskedError):
        service.run()


def test_good_poll_leads_to_idle(make, clock, tmp_path):
    waits = ScriptedWaits()
    service = make(Script(WELL), waits=waits, interval_s=1000)

    run(service)

    assert service.status.phase is Phase.IDLE
    assert service.status.error is None
    assert service.status.last_success_at == clock.unix_s()
    assert service.status.next_poll_at == clock.unix_s() + 1000
    assert waits.rests == [1000]
    assert read_status(tmp_path / "status.json") == service.status
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o644


def test_without_repository_nothing_is_polled(make, tmp_path):
    waits = ScriptedWaits(polls=2)
    service = make(None, waits=waits)

    service.announce()
    run(service)

    assert read_status(tmp_path / "status.json").phase is Phase.UNCONFIGURED
    assert waits.rests == [None, None]


@pytest.mark.parametrize(
    "error",
    [
        HostUnreachableError("no answer", hint="Check the network."),
        MetadataExpiredError("old", hint="Sign again."),
        DiskFullError("full", hint="Free some."),
    ],
)
def test_failed_poll_waits_with_code_message_and_hint(make, error):
    service = make(Script(failing(error)))

    run(service)

    assert service.status.phase is Phase.WAITING
    shown = service.status.error
    assert (shown.code, shown.message, shown.hint, shown.failures) == (error.code, error.message, error.hint, 1)
    assert service.status.next_poll_at is not None


def test_failures_back_off_and_success_forgets_them(make):
    away = failing(HostUnreachableError("a"))
    waits = ScriptedWaits(polls=4)

    run(make(Script(away, away, WELL, away), waits=waits, backoff_min_s=100))

    assert waits.rests == [50, 100, 1e6, 50]


def test_model_that_does_not_fit_is_recorded_without_slowing_polls(make):
    """Asking more slowly would only delay the repaired bundle, for all models."""
    waits = ScriptedWaits(polls=2)
    unfit = failing(IncompatibleError("no variant fits"), subject="demo 1.0.0", is_for_publisher=True)
    service = make(Script(unfit), waits=waits, interval_s=1000)

    run(service)

    assert service.status.error.code == "bundle-incompatible"
    assert service.status.error.message == "demo 1.0.0: no variant fits"
    assert service.status.error.failures == 2
    assert waits.rests == [1000, 1000]


def test_unforeseen_error_does_not_end_the_updater(make):
    service = make(Script(ZeroDivisionError("oops")))

    run(service)

    assert service.status.error.code == "internal"
    assert "oops" in service.status.error.message


def test_stop_in_the_middle_of_a_poll_is_no_failure(make):
    waits = ScriptedWaits()
    service = make(Script(StopAskedError()), waits=waits)

    run(service)

    assert service.status.error is None
    assert waits.rests == []


def test_poll_is_told_whether_somebody_asked_for_it(make):
    poller = Script(WELL)

    run(make(poller, waits=ScriptedWaits(polls=4, nudged={1})))

    assert poller.asked_for == [False, False, True, False]


def test_same_failure_is_told_to_the_journal_once(make, caplog):
    caplog.set_level(logging.INFO)
    expired = failing(MetadataExpiredError("c"))
    poller = Script(failing(HostUnreachableError("a")), failing(HostUnreachableError("b")), expired, WELL, expired)

    run(make(poller, waits=ScriptedWaits(polls=8)))

    told = [
        r.edged_fields["code"]
        for r in caplog.records
        if getattr(r, "edged_message_id", "") == journal.UPDATE_FAILED.message_id
    ]
    assert told == ["host-unreachable", "metadata-expired", "metadata-expired"]


def test_download_is_shown_while_it_runs(make, tmp_path):
    seen = []

    def during(report):
        for received in (1, 2, 3):
            report(Phase.DOWNLOADING, Progress(model="demo", version="1.0.0", received_bytes=received, total_bytes=3))
            seen.append(read_status(tmp_path / "status.json").progress.received_bytes)

    service = make(Script(WELL, during=during))

    run(service)

    assert seen == [1, 2, 3]
    assert service.status.progress is None


def test_error_is_shown_until_a_poll_goes_well(make, tmp_path):
    """While a poll runs, the document still says why the last one failed."""
    seen = []

    def during(report):
        report(Phase.POLLING)
        error = read_status(tmp_path / "status.json").error
        seen.append(None if error is None else error.code)

    service = make(Script(failing(HostUnreachableError("a")), WELL, during=during), waits=ScriptedWaits(polls=3))

    run(service)

    assert seen == [None, "host-unreachable", None]


def test_status_that_cannot_be_written_does_not_end_the_updater(make, tmp_path):
    (tmp_path / "status.json").mkdir()
    service = make(Script(WELL))

    run(service)

    assert service.status.phase is Phase.IDLE
