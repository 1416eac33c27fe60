"""From a rule of a policy to the kernel's setting: the wish, and the unit's program on a made-up tree."""

import logging
import stat
from types import SimpleNamespace

import pytest

from edged.daemon.frequency import QUIET_S, FrequencyWish, wishing
from edged.errors import DocumentError
from edged.frequency.__main__ import main
from edged.frequency.wish import Wish, read_wish, write_wish
from edged.policy.ask import Ask
from edged.select.decision import Action, Decision
from edged.sense.context import Context
from edged.sense.reading import known, unknown
from tests.fakes.clocks import ManualClock
from tests.fakes.contexts import FakeContexts


class Board:
    """A cpufreq tree, a wish and what is remembered."""

    def __init__(self, root):
        self.root = root
        self.wish = root / "frequency.json"

    def add(self, number, *, most=2_400_000, limit=None):
        policy = self.root / "cpufreq" / f"policy{number}"
        policy.mkdir(parents=True)
        (policy / "cpuinfo_min_freq").write_text("600000\n")
        (policy / "cpuinfo_max_freq").write_text(f"{most}\n")
        (policy / "scaling_max_freq").write_text(f"{limit or most}\n")

    def cool(self, state, *, kind="cpufreq-cpu0"):
        """Have a cooling device in this state."""
        device = self.root / "thermal" / "cooling_device0"
        device.mkdir(parents=True, exist_ok=True)
        (device / "type").write_text(f"{kind}\n")
        (device / "cur_state").write_text(f"{state}\n")

    def set_attribute(self, number, name, text):
        """Have the kernel show this of a policy."""
        (self.root / "cpufreq" / f"policy{number}" / name).write_text(f"{text}\n")

    def limit(self, number):
        return int((self.root / "cpufreq" / f"policy{number}" / "scaling_max_freq").read_text())

    def run(self, what="apply"):
        return main(
            [
                what,
                "--wish",
                str(self.wish),
                "--cpufreq",
                str(self.root / "cpufreq"),
                "--cooling",
                str(self.root / "thermal"),
                "--known",
                str(self.root / "known"),
            ]
        )


@pytest.fixture
def root_log():
    """Leave the log of this process as it was: the unit's program sets it up for itself."""
    log = logging.getLogger()
    level, handlers = log.level, set(log.handlers)
    yield
    log.setLevel(level)
    for handler in set(log.handlers) - handlers:
        log.removeHandler(handler)


@pytest.fixture
def board(tmp_path, root_log):
    board = Board(tmp_path)
    board.add(0)
    board.add(4, most=1_800_000)
    return board


def test_a_wish_caps_every_processor_and_an_undo_gives_back(board):
    write_wish(board.wish, Wish(share=0.5))
    assert board.run() == 0
    assert (board.limit(0), board.limit(4)) == (1_200_000, 900_000)

    assert board.run("undo") == 0
    assert (board.limit(0), board.limit(4)) == (2_400_000, 1_800_000)


def test_wishes_follow_each_other(board):
    for share, limit in ((0.8, 1_920_000), (0.25, 600_000), (1.0, 2_400_000)):
        write_wish(board.wish, Wish(share=share))
        assert board.run() == 0
        assert board.limit(0) == limit


def test_no_wish_is_none(board):
    assert board.run() == 0
    assert board.limit(0) == 2_400_000


@pytest.mark.parametrize("text", ['{"schema":1,"share":0.01}', '{"schema":1,"share":1.5}', "0.5", "", "x" * 1000])
def test_what_is_no_wish_changes_nothing(board, text):
    """The daemon writes it, and is not believed more than it must be."""
    board.wish.write_text(text)

    assert board.run() == 1
    assert board.limit(0) == 2_400_000


def test_a_processor_that_cannot_be_set_does_not_keep_the_others_from_it(board):
    """As the kernel shows one whose driver has no such setting; root ignores file modes, so the tree lacks it here."""
    (board.root / "cpufreq" / "policy0" / "scaling_max_freq").unlink()
    write_wish(board.wish, Wish(share=0.5))

    assert board.run() == 0
    assert board.limit(4) == 900_000


def test_a_processor_that_refuses_is_told_and_does_not_stop_the_others(board, caplog):
    """A file of the kernel's that even root cannot write stands in for its setting; it has a number, too."""
    refusing = board.root / "cpufreq" / "policy0"
    for name, number in (("cpuinfo_min_freq", 1), ("cpuinfo_max_freq", 256)):
        (refusing / name).write_text(f"{number}\n")
    (refusing / "scaling_max_freq").unlink()
    (refusing / "scaling_max_freq").symlink_to("/proc/sys/kernel/random/entropy_avail")
    write_wish(board.wish, Wish(share=0.25))

    assert board.run() == 1
    assert board.limit(4) == 600_000

    assert board.run("undo") == 0
    assert board.limit(4) == 1_800_000


@pytest.mark.parametrize("kind", ["cpufreq-cpu0", "thermal-cpufreq-1", "Processor"])
def test_while_the_kernel_cools_by_frequency_what_it_shows_is_not_taken_for_an_administrators(board, kind, capsys):
    write_wish(board.wish, Wish(share=0.5))
    board.cool(2, kind=kind)
    board.set_attribute(0, "scaling_max_freq", 1_800_000)
    assert board.run() == 0
    assert (board.limit(0), board.limit(4)) == (1_800_000, 900_000)
    assert "policy0: left alone" in capsys.readouterr().err

    board.cool(0, kind=kind)
    board.set_attribute(0, "scaling_max_freq", 2_400_000)
    assert board.run() == 0
    assert board.limit(0) == 1_200_000
    assert board.run("undo") == 0
    assert board.limit(0) == 2_400_000


@pytest.mark.parametrize(
    ("kind", "state"), [("Fan", 3), ("intel_powerclamp", 25), ("Processor", -1), ("Processor", "")]
)
def test_other_cooling_hides_no_limit(board, kind, state):
    write_wish(board.wish, Wish(share=0.5))
    board.cool(state, kind=kind)
    board.set_attribute(0, "scaling_max_freq", 1_800_000)

    assert board.run() == 0
    assert board.limit(0) == 1_200_000


@pytest.mark.parametrize(
    ("firmware", "listed", "limit"),
    [
        (1_800_000, "2400000 1800000 1200000", 1_800_000),  # may be firmware's: left alone
        (1_800_000, "1800000 1200000", 1_200_000),  # not below what is listed: only the boost is above
        (2_400_000, "2400000 1800000 1200000", 1_200_000),
        ("", "2400000", 1_200_000),
        (1_800_000, "", 1_200_000),
    ],
)
def test_what_firmware_allows_is_not_taken_for_an_administrators(board, firmware, listed, limit):
    write_wish(board.wish, Wish(share=0.5))
    board.set_attribute(0, "bios_limit", firmware)
    board.set_attribute(0, "scaling_available_frequencies", listed)
    board.set_attribute(0, "scaling_max_freq", 1_800_000)

    assert board.run() == 0
    assert board.limit(0) == limit


def test_an_attribute_without_an_end_is_no_number(board):
    endless = board.root / "cpufreq" / "policy0" / "scaling_max_freq"
    endless.unlink()
    endless.symlink_to("/dev/zero")
    write_wish(board.wish, Wish(share=0.5))

    assert board.run() == 0
    assert board.limit(4) == 900_000


@pytest.mark.usefixtures("root_log")
def test_a_device_without_cpufreq_has_nothing_to_cap(tmp_path):
    board = Board(tmp_path)
    write_wish(board.wish, Wish(share=0.5))

    assert board.run() == 0


def decision(share):
    return Decision(action=Action.RUN, rule="hot", origin="local", rank=0, frequency_share=share)


def decisions(*shares):
    return [(Ask(model=f"model-{i}"), decision(share)) for i, share in enumerate(shares)]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def wish(tmp_path, clock):
    return FrequencyWish(tmp_path / "frequency.json", clock)


def looked(*, throttled=False):
    """Return what a look at the device found."""
    return Context(throttled=known(value=throttled) if throttled is not None else unknown("nothing says so"))


def test_the_lowest_share_of_all_decisions_is_wished_for(tmp_path, wish):
    path = tmp_path / "frequency.json"
    wish.take(decisions(None, 0.8, 0.4))

    assert read_wish(path) == Wish(share=0.4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_wish_is_written_when_it_changes_and_not_otherwise(tmp_path, wish):
    path = tmp_path / "frequency.json"
    wish.take(decisions(0.5))
    before = path.stat().st_ino
    wish.take(decisions(0.5, 0.9))
    wish.look(looked())
    assert path.stat().st_ino == before
    wish.take(decisions(None))

    assert read_wish(path).share == 1.0


def test_a_daemon_that_stops_withdraws_its_wish_and_one_that_starts_that_of_another(tmp_path, clock):
    path, contexts = tmp_path / "frequency.json", FakeContexts()
    told = []
    decided = SimpleNamespace(decisions=decisions(0.3), on_change=told.append)
    with wishing(path, decided, contexts, clock):
        assert read_wish(path).share == 0.3
        decided.decisions = decisions(0.6)
        told[0]()
        assert read_wish(path).share == 0.6
    assert read_wish(path).share == 1.0
    told[0]()  # while the rest of the daemon ends
    contexts.become(throttled=False)
    assert read_wish(path).share == 1.0

    write_wish(path, Wish(share=0.3))  # of a daemon that was killed
    with wishing(path, SimpleNamespace(decisions=[], on_change=told.append), contexts, clock):
        assert read_wish(path).share == 1.0


def test_a_wish_that_cannot_be_written_is_tried_again_with_every_look_and_told_once(tmp_path, clock, caplog):
    path, contexts = tmp_path / "missing" / "frequency.json", FakeContexts()
    with wishing(path, SimpleNamespace(decisions=decisions(0.5), on_change=lambda _told: None), contexts, clock):
        contexts.become(throttled=False)
        contexts.become(throttled=False)
        assert caplog.text.count("cannot be written") == 1

        path.parent.mkdir()
        contexts.become(throttled=False)
        assert read_wish(path).share == 0.5


def test_a_wish_that_cannot_be_written_again_later_is_told_again(tmp_path, clock, caplog):
    path = tmp_path / "there" / "frequency.json"
    path.parent.mkdir()
    wish = FrequencyWish(path, clock)
    for share in (0.5, 0.6):
        wish.take(decisions(share))
        path.unlink()
        path.parent.rmdir()
        wish.take(decisions(share / 2))
        path.parent.mkdir()
        wish.look(looked())

    assert len(caplog.records) == 2


def test_a_wish_is_written_once_more_when_nothing_has_slowed_the_device_down_for_a_while(tmp_path, wish, clock):
    """So that edged-frequency looks again, at processors that the kernel no longer holds back."""
    path = tmp_path / "frequency.json"
    wish.take(decisions(0.5))

    def is_written(*, throttled, after_s):
        clock.advance(after_s)
        before = path.stat().st_ino
        wish.look(looked(throttled=throttled))
        return path.stat().st_ino != before

    assert not is_written(throttled=True, after_s=0)
    assert not is_written(throttled=False, after_s=QUIET_S - 1)
    assert not is_written(throttled=True, after_s=1)
    assert not is_written(throttled=None, after_s=QUIET_S)  # not known is not over
    assert not is_written(throttled=False, after_s=QUIET_S - 1)
    assert is_written(throttled=False, after_s=1)
    assert not is_written(throttled=False, after_s=QUIET_S)
    assert read_wish(path).share == 0.5


def test_a_wish_that_is_too_long_is_none(tmp_path):
    (tmp_path / "frequency.json").write_text('{"schema":1,"share":"half"}')

    with pytest.raises(DocumentError):
        read_wish(tmp_path / "frequency.json")
