"""The updater's loop: states, waits, and what is said once."""

import logging

import pytest
from msgspec import structs

from edged import journal
from edged.config.schema import UpdateConfig
from edged.errors import DiskFullError, EdgedError, HostUnreachableError, IncompatibleError, MetadataExpiredError
from edged.update.protocol.asking import Apply, Check, Outcome
from edged.update.protocol.messages import Finding, Step, failure_of
from edged.update.protocol.phases import Deferred, Phase, Progress
from edged.update.protocol.status_file import read_status
from edged.update.service.service import Service
from edged.update.waits.waiting import ApplyAskedError, StopAskedError
from tests.fakes.clocks import ManualClock
from tests.fakes.controls import desk, told
from tests.fakes.waits import ScriptedWaits

WELL = Finding(checked_unix_s={})


def failing(error: EdgedError, **details) -> Finding:
    return Finding(failure=failure_of(error, **details), checked_unix_s={})


class Script:
    """A poller that plays answers; the last one repeats."""

    def __init__(self, *answers, during=None, applied=WELL, interval_s=1e6, news=()):
        self.answers = list(answers)
        self.asked_for = []
        self.during = during
        self.applied = applied
        self.sticks = []
        self.interval_s = interval_s
        self.news = list(news)

    def poll(self, report, *, is_asked_for):
        self.asked_for.append(is_asked_for)
        if self.during:
            self.during(report)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def apply(self, stick, report):
        self.sticks.append(stick)
        report(Phase.STAGING)
        if isinstance(self.applied, BaseException):
            raise self.applied
        return self.applied

    def wait_s(self):
        return self.interval_s

    def has_news(self):
        return self.news.pop(0) if self.news else False


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def at():
    with desk() as opened:
        yield opened


@pytest.fixture
def make(tmp_path, clock, at):
    def service(poller, *, waits=None, backoff_min_s=1e6, repository="https://models.test/", time_source="system"):
        return Service(
            poller=poller,
            control=at.control,
            repository=repository,
            config=UpdateConfig(backoff_min_s=backoff_min_s, backoff_max_s=2e6),
            status_path=tmp_path / "status.json",
            clock=clock,
            time_source=lambda: time_source,
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
    service = make(Script(WELL, interval_s=1000), waits=waits)

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
    service = make(Script(WELL), waits=waits, repository="")

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
    service = make(Script(unfit, interval_s=1000), waits=waits)

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


AWAY = failing(HostUnreachableError("away"))
PARTLY = structs.replace(AWAY, has_brought=True)


def test_news_end_a_long_wait_and_the_next_ones_grow_from_a_poll_interval(make):
    """Whatever failed before says little of a host that is back. It is still asked by a refresh no more often than by polls, about."""
    waits = ScriptedWaits(polls=11)
    news = [False, False, True]

    run(make(Script(AWAY, interval_s=100, news=news), waits=waits, backoff_min_s=50))

    by_failure = [[25], [50], [100], [100, 100], [100, 100], [50], [100], [100, 100]]
    assert waits.rests == [rest for rests in by_failure for rest in rests]


def test_refresh_that_brings_a_part_is_tried_again_within_about_a_poll_interval(make):
    waits = ScriptedWaits(polls=8)

    run(make(Script(AWAY, AWAY, AWAY, AWAY, PARTLY, PARTLY, AWAY, interval_s=160), waits=waits, backoff_min_s=20))

    assert waits.rests == [10, 20, 40, 80, 80, 80, 160, 160]


def test_first_waits_are_no_longer_for_what_a_refresh_brings(make):
    waits = ScriptedWaits(polls=3)

    run(make(Script(PARTLY, interval_s=160), waits=waits, backoff_min_s=20))

    assert waits.rests == [10, 20, 40]


def test_what_the_publisher_has_to_mend_does_not_make_later_waits_longer(make):
    waits = ScriptedWaits(polls=5)
    unfit = failing(IncompatibleError("no variant fits"), is_for_publisher=True)

    run(make(Script(unfit, unfit, unfit, AWAY, interval_s=1000), waits=waits, backoff_min_s=20))

    assert waits.rests == [1000, 1000, 1000, 10, 20]


def test_status_that_cannot_be_written_does_not_end_the_updater(make, tmp_path):
    (tmp_path / "status.json").mkdir()
    service = make(Script(WELL))

    run(service)

    assert service.status.phase is Phase.IDLE


def test_what_is_put_off_is_no_failure(make):
    deferred = Deferred(cause="metered", message="metered", until=None)
    service = make(Script(Finding(deferred=deferred, checked_unix_s={})))

    run(service)

    assert (service.status.phase, service.status.deferred) == (Phase.DEFERRED, deferred)
    assert service.status.error is None
    assert service.status.last_success_at is not None


def test_after_a_failure_the_host_is_asked_for_news_as_often_as_ever(make):
    """A stop may be among them; the next try comes as soon as there is some."""
    waits = ScriptedWaits(polls=4)
    poller = Script(failing(HostUnreachableError("a")), interval_s=10, news=[False, False, True])

    run(make(poller, waits=waits, backoff_min_s=100))

    assert waits.rests == [10, 10, 10, 10]
    assert len(poller.asked_for) == 2


def test_status_says_what_tells_the_time(make):
    service = make(Script(WELL), time_source="signed")

    run(service)

    assert service.status.time_source == "signed"


def test_who_asks_for_a_check_gets_what_the_next_poll_found(make, at):
    """Also where it failed, and beside what came all the same."""
    found = Finding(staged=("demo 1.0.0",), failure=failure_of(HostUnreachableError("away")), checked_unix_s={})
    poller = Script(found, during=lambda report: report(Phase.DOWNLOADING))
    with at.ask(Check()) as peer:
        run(make(poller))

        assert [told(peer), told(peer)] == [Step(phase=Phase.POLLING), Step(phase=Phase.DOWNLOADING)]
        assert told(peer) == Outcome(staged=("demo 1.0.0",), failure=found.failure)
    assert poller.asked_for == [True]


def test_check_that_is_asked_for_during_a_poll_has_another_one(make, at):
    peers = []
    poller = Script(WELL, during=lambda _: peers or peers.append(at.ask(Check())))

    run(make(poller, waits=ScriptedWaits(polls=2)))

    assert poller.asked_for == [False, True]
    with peers[0] as peer:
        assert told(peer) == Step(phase=Phase.POLLING)


def test_check_without_a_repository_is_answered_at_once(make, at):
    poller = Script(WELL)
    with at.ask(Check()) as peer:
        run(make(poller, repository=""))

        assert told(peer).failure.code == "nothing-to-do"
    assert poller.asked_for == []


def everything_told(peer):
    """Return what a peer is told until its connection ends."""
    return list(iter(lambda: told(peer), None))


def raise_once(error):
    """Return what raises an error the first time."""
    left = [error]

    def do():
        if left:
            raise left.pop()

    return do


@pytest.mark.parametrize("repository", ["https://models.test/", ""])
def test_what_somebody_brings_is_taken_and_polls_go_on(make, at, repository):
    poller = Script(WELL, applied=Finding(staged=("demo 1.0.0",), checked_unix_s={}))
    waits = ScriptedWaits(polls=2, during=raise_once(ApplyAskedError()))
    service = make(poller, waits=waits, repository=repository)
    with at.ask(Apply()) as peer:
        run(service)

        *steps, outcome = everything_told(peer)
    assert steps[-1] == Step(phase=Phase.STAGING)
    assert outcome == Outcome(staged=("demo 1.0.0",))
    assert len(poller.sticks) == 1
    assert len(poller.asked_for) == (2 if repository else 0)
    assert service.status.phase is (Phase.IDLE if repository else Phase.UNCONFIGURED)


def test_poll_that_was_ended_for_a_stick_is_made_up_for(make, at):
    """With what it was asked for."""
    poller = Script(WELL, ApplyAskedError(), WELL)
    waits = ScriptedWaits(polls=2, nudged={0})
    with at.ask(Apply()):
        run(make(poller, waits=waits))

    assert poller.asked_for == [False, True, True]
    assert len(poller.sticks) == 1


@pytest.mark.parametrize("applied", [failing(MetadataExpiredError("old")), ZeroDivisionError("oops")])
def test_stick_that_fails_is_told_to_who_brought_it_and_to_the_journal(make, at, caplog, applied):
    """The state of the repository's polls is not touched."""
    caplog.set_level(logging.INFO)
    waits = ScriptedWaits(polls=2, during=raise_once(ApplyAskedError()))
    service = make(Script(WELL, applied=applied), waits=waits)
    with at.ask(Apply()) as peer:
        run(service)

        assert everything_told(peer)[-1].failure is not None
    assert journal.UPDATE_FAILED.message_id in [getattr(r, "edged_message_id", "") for r in caplog.records]
    assert (service.status.phase, service.status.error) == (Phase.IDLE, None)
