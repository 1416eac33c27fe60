"""Progress: one line on a terminal, few lines elsewhere."""

import errno
import io

from edged.cli.progress import PARTS, ProgressLine
from edged.update.protocol.messages import Step
from edged.update.protocol.phases import Phase, Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def downloading(received_bytes, *, version="1.1.0"):
    progress = Progress(model="gauge", version=version, received_bytes=received_bytes, total_bytes=1000)
    return Step(phase=Phase.DOWNLOADING, progress=progress)


def shown(stream, *steps):
    with ProgressLine(stream) as progress:
        for step in steps:
            progress(step)
    return stream.getvalue()


def test_on_a_terminal_the_line_is_written_anew_and_gone_at_the_end():
    written = shown(Terminal(), Step(phase=Phase.POLLING), downloading(10), downloading(20))

    clear = "\r\x1b[K"
    assert written == f"{clear}polling{clear}gauge 1.1.0: 10 B of 1.0 kB{clear}gauge 1.1.0: 20 B of 1.0 kB{clear}"
    assert shown(Terminal()) == ""


def test_elsewhere_a_download_is_a_line_for_each_part():
    lines = shown(io.StringIO(), *(downloading(received_bytes) for received_bytes in range(1001))).splitlines()

    assert len(lines) == PARTS + 1
    assert lines[0] == "gauge 1.1.0: 0 B of 1.0 kB"
    assert lines[-1] == "gauge 1.1.0: 1.0 kB of 1.0 kB"


def test_elsewhere_a_change_of_phase_or_version_is_a_line():
    steps = [Step(phase=Phase.POLLING)] * 3 + [
        downloading(5),
        downloading(5, version="1.2.0"),
        Step(phase=Phase.STAGING),
    ]

    assert len(shown(io.StringIO(), *steps).splitlines()) == 4


def test_names_from_outside_cannot_move_the_cursor():
    assert "\x1b" not in shown(io.StringIO(), downloading(1, version="1\x1b[2J"))


def test_a_bundle_without_bytes_divides_nothing_by_zero():
    step = Step(phase=Phase.DOWNLOADING, progress=Progress(model="m", version="1.0.0", received_bytes=0, total_bytes=0))

    assert shown(io.StringIO(), step) == "m 1.0.0: 0 B of 0 B\n"


class Full(Terminal):
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_steps_that_cannot_be_shown_are_passed_over():
    """``2>/dev/full``, or a pager that was left: the update itself goes on."""
    assert shown(Full(), Step(phase=Phase.POLLING), downloading(10)) == ""
