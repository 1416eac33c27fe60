"""What the updater does, for people. Pure."""

from collections.abc import Iterator
from typing import Final

from edged.cli.table import align, printable
from edged.cli.words import ago, duration, size
from edged.update.protocol.phases import Progress, UpdateStatus

_INDENT: Final = "  "
_TIME_SOURCES: Final = {
    "system": "",
    "package": "wrong: it is behind the build of this package, which counts as the time instead",
    "signed": "wrong: it is behind what the publisher has signed, which counts as the time instead",
}


def render_update(update: UpdateStatus | None, *, now_s: float) -> str:
    """Lay out what the updater last said.

    Args:
        update: None when it has said nothing since boot.
        now_s: Unix seconds, on the clock the document's times are from.
    """
    if update is None:
        return "Updates: edged-update has not reported since boot\n"
    return f"Updates: {update.phase}\n" + align(list(_rows(update, now_s)), indent=_INDENT)


def describe_progress(progress: Progress) -> str:
    """Say in one line how far a bundle has come."""
    text = f"{progress.model} {progress.version}: {size(progress.received_bytes)} of {size(progress.total_bytes)}"
    if progress.count > 1:
        text += f" ({progress.number} of {progress.count})"
    if progress.bytes_per_s is not None:
        text += f", {size(progress.bytes_per_s)}/s"
    if progress.left_s is not None:
        text += f", {duration(progress.left_s)} left"
    if progress.source:
        text += f", from {printable(progress.source)}"
    return text


def _rows(update: UpdateStatus, now_s: float) -> Iterator[tuple[str, str]]:
    yield "Repository", printable(update.repository) or "none set"
    if update.progress is not None:
        yield "Download", describe_progress(update.progress)
    if update.deferred is not None:
        until_s = update.deferred.until
        until = "" if until_s is None else f", for {duration(until_s - now_s)} more"
        yield "Put off", f"{printable(update.deferred.message)} [{update.deferred.cause}]{until}"
    yield "Last success", "never" if update.last_success_at is None else ago(update.last_success_at, now_s)
    if update.next_poll_at is not None:
        yield "Next poll", f"in {duration(update.next_poll_at - now_s)}"
    if clock := _TIME_SOURCES[update.time_source]:
        yield "Clock", clock
    if update.error is not None:
        error = update.error
        yield "Error", f"{printable(error.message)} [{error.code}], {error.failures} in a row"
        if error.hint:
            yield "Hint", printable(error.hint)
