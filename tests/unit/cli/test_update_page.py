"""What the updater does, as a person reads it."""

import pytest

from edged.cli.update_page import describe_progress, render_update
from edged.update.protocol.phases import Deferred, Phase, Progress, UpdateStatus

NOW_S = 1_800_000_000.0
PROGRESS = Progress(model="gauge", version="1.1.0", received_bytes=1_500_000, total_bytes=3_000_000)


def changed(**fields):
    return Progress(**{name: getattr(PROGRESS, name) for name in PROGRESS.__struct_fields__} | fields)


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (PROGRESS, "gauge 1.1.0: 1.5 MB of 3.0 MB"),
        (changed(number=2, count=3), "gauge 1.1.0: 1.5 MB of 3.0 MB (2 of 3)"),
        (
            changed(bytes_per_s=120_000.0, left_s=12.5, source="host"),
            "gauge 1.1.0: 1.5 MB of 3.0 MB, 120.0 kB/s, 12 s left, from host",
        ),
    ],
)
def test_progress_tells_what_is_known(progress, text):
    assert describe_progress(progress) == text


def test_a_day_whose_bytes_are_used_up_says_until_when():
    deferred = Deferred(cause="max-bytes-per-day", message="50 MB were fetched today.", until=NOW_S + 3600)
    update = UpdateStatus(
        phase=Phase.DEFERRED,
        repository="https://m.example/",
        changed_at=NOW_S,
        deferred=deferred,
        time_source="package",
    )

    assert render_update(update, now_s=NOW_S) == (
        "Updates: deferred\n"
        "  Repository    https://m.example/\n"
        "  Put off       50 MB were fetched today. [max-bytes-per-day], for 1 h more\n"
        "  Last success  never\n"
        "  Clock         wrong: it is behind the build of this package, which counts as the time instead\n"
    )


def test_an_updater_that_has_said_nothing_is_said_to_be_so():
    assert render_update(None, now_s=NOW_S) == "Updates: edged-update has not reported since boot\n"
