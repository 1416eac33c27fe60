"""The updater's loop: states, waits, and what is said once."""

import asyncio
import logging

import pytest

from edged import journal
from edged.config.schema import UpdateConfig
from edged.errors import (
    DigestMismatchError,
    DiskFullError,
    EdgedError,
    HostUnreachableError,
    IncompatibleError,
    MetadataExpiredError,
)
from edged.ids import ModelName
from edged.update.client import ModelFailure, Summary
from edged.update.phases import Phase, Progress
from edged.update.service import Service
from edged.update.status_file import read_status
from tests.fakes.clocks import ManualClock

WELL = Summary(staged=(), failures=())


def failing(*errors: EdgedError) -> Summary:
    return Summary(
        staged=(), failures=tuple(ModelFailure(model=ModelName("demo"), version="1.0.0", error=e) for e in errors)
    )


class Script:
    """A poller that plays answers and afterwards blocks nobody: the last one repeats."""

    def __init__(self, *answers, during=None):
        self.answers = list(answers)
        self.polls = 0
        self.during = during

    def poll(self, report):
        self.polls += 1
        if self.during:
            self.during(report)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def make(tmp_path, clock):
    def service(poller, *, interval_s=1e6, backoff_min_s=1e6):
        return Service(
            poller=poller,
            repository="https://models.test/",
            config=UpdateConfig(backoff_min_s=backoff_min_s, backoff_max_s=2e6),
            poll_interval_s=interval_s,
            status_path=tmp_path / "status.json",
            clock=clock,
            draw=lambda: 0.5,
        )

    return service


async def run_until(service, is_reached):
    """Run the service until a condition holds; the test's own deadline bounds the wait."""
    task = asyncio.create_task(service.run())
    try:
        async with asyncio.timeout(10):
            while not is_reached():  # noqa: ASYNC110 - the service tells nobody when it changes
                await asyncio.sleep(0)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def run_to(service, phase):
    await run_until(service, lambda: service.status.phase is phase)


async def test_good_poll_leads_to_idle(make, clock, tmp_path):
    service = make(Script(WELL), interval_s=1000)
    await run_to(service, Phase.IDLE)

    await run_until(service, lambda: service.status.last_success_at is not None)

    assert service.status.error is None
    assert service.status.next_poll_at == clock.unix_s() + 1000
    assert read_status(tmp_path / "status.json") == service.status
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o644


async def test_without_repository_nothing_is_polled(make, tmp_path):
    service = make(None)

    service.announce()
    await run_until(service, lambda: True)

    assert read_status(tmp_path / "status.json").phase is Phase.UNCONFIGURED


@pytest.mark.parametrize(
    "error",
    [
        HostUnreachableError("no answer", hint="Check the network."),
        MetadataExpiredError("old", hint="Sign again."),
        DiskFullError("full", hint="Free some."),
    ],
)
async def test_failed_poll_waits_with_code_message_and_hint(make, error):
    service = make(Script(error))

    await run_to(service, Phase.WAITING)

    shown = service.status.error
    assert (shown.code, shown.message, shown.hint, shown.failures) == (error.code, error.message, error.hint, 1)
    assert service.status.next_poll_at is not None


async def test_failures_back_off_and_success_forgets_them(make, clock):
    service = make(
        Script(HostUnreachableError("a"), HostUnreachableError("a"), WELL, HostUnreachableError("a")), backoff_min_s=100
    )
    waits = []

    def note_and_poll():
        if service.status.phase in {Phase.WAITING, Phase.IDLE} and service.status.next_poll_at:
            waits.append(service.status.next_poll_at - clock.unix_s())
            service.poll_now()
        return len(waits) >= 4

    polls = 0

    def is_reached():
        nonlocal polls
        if service._poller.polls > polls and service.status.phase is not Phase.POLLING and not service._is_polling:
            polls = service._poller.polls
            return note_and_poll()
        return False

    await run_until(service, is_reached)

    assert waits == [50, 100, 1e6, 50]


async def test_model_that_does_not_fit_is_recorded_without_slowing_polls(make, clock):
    """Asking more slowly would only delay the repaired bundle, for all models."""
    service = make(Script(failing(IncompatibleError("no variant fits"))), interval_s=1000)

    await run_to(service, Phase.WAITING)

    assert service.status.error.code == "bundle-incompatible"
    assert service.status.error.message == "demo 1.0.0: no variant fits"
    assert service.status.next_poll_at == clock.unix_s() + 1000


async def test_what_the_device_or_host_may_mend_is_named_first(make):
    service = make(Script(failing(IncompatibleError("no variant fits"), DigestMismatchError("altered"))))

    await run_to(service, Phase.WAITING)

    assert service.status.error.code == "digest-mismatch"


async def test_unforeseen_error_does_not_end_the_updater(make, caplog):
    service = make(Script(ZeroDivisionError("oops")))

    await run_to(service, Phase.WAITING)

    assert service.status.error.code == "internal"
    assert "oops" in service.status.error.message


async def test_same_failure_is_told_to_the_journal_once(make, caplog):
    caplog.set_level(logging.INFO)
    poller = Script(
        HostUnreachableError("a"), HostUnreachableError("b"), MetadataExpiredError("c"), WELL, MetadataExpiredError("c")
    )
    service = make(poller)

    def is_reached():
        service.poll_now()
        return poller.polls >= 8

    await run_until(service, is_reached)

    told = [
        r.edged_fields["code"]
        for r in caplog.records
        if getattr(r, "edged_message_id", "") == journal.UPDATE_FAILED.message_id
    ]
    assert told == ["host-unreachable", "metadata-expired", "metadata-expired"]


async def test_download_is_shown_while_it_runs(make, clock, tmp_path):
    """At most twice a second, whatever the rate of the reports."""
    seen = []

    def during(report):
        for received in (1, 2, 3):
            progress = Progress(model="demo", version="1.0.0", received_bytes=received, total_bytes=3)
            report(Phase.DOWNLOADING, progress)
            seen.append(read_status(tmp_path / "status.json").progress.received_bytes)
            clock.advance(0.3)

    service = make(Script(WELL, during=during))

    await run_until(service, lambda: service.status.last_success_at is not None)

    assert seen == [1, 1, 3]
    assert service.status.progress is None


async def test_poll_that_does_not_move_is_not_alive(make, clock):
    alive = []

    def during(report):
        report(Phase.POLLING)
        alive.append(service.is_alive())
        clock.advance(61)
        alive.append(service.is_alive())
        report(Phase.POLLING)
        alive.append(service.is_alive())

    service = make(Script(WELL, during=during))
    await run_until(service, lambda: service.status.last_success_at is not None)
    clock.advance(10_000)

    assert alive == [True, False, True]
    assert service.is_alive(), "waiting is no stall"


async def test_status_that_cannot_be_written_does_not_end_the_updater(make, tmp_path):
    (tmp_path / "status.json").mkdir()
    service = make(Script(WELL))

    await run_until(service, lambda: service.status.last_success_at is not None)
