"""The bytes of a day, over reboots and with clocks that are wrong."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.update.traffic.ledger import DAY_S, LedgerFile, Moment, read_moment

HOUR_S = 3600.0


class Machine:
    """Its clocks, and the ledger in its store."""

    def __init__(self, path):
        self.boot, self.booted_s, self.unix_s = 0, 100.0, 1_800_000_000.0
        self.path = path

    def now(self):
        return Moment(boot=str(self.boot), booted_s=self.booted_s, unix_s=self.unix_s)

    @property
    def ledger(self):
        return LedgerFile(self.path, self.now)

    def wait(self, seconds):
        self.booted_s += seconds
        self.unix_s += seconds

    def reboot(self, *, off_s=0.0, unix_s=None):
        self.boot += 1
        self.booted_s = 10.0
        self.unix_s = self.unix_s + off_s if unix_s is None else unix_s


@pytest.fixture
def it(tmp_path):
    return Machine(tmp_path / "ledger.json")


def test_bytes_count_for_a_day(it):
    it.ledger.take(1000)
    it.wait(DAY_S - 1)
    assert it.ledger.spent_bytes() == 1000

    it.wait(1)

    assert it.ledger.spent_bytes() == 0


def test_bytes_of_an_hour_count_until_the_last_of_them_are_a_day_old(it):
    it.ledger.take(1000)
    it.wait(HOUR_S / 2)
    it.ledger.take(10)
    it.wait(DAY_S - 1)
    assert it.ledger.spent_bytes() == 1010

    it.wait(1)

    assert it.ledger.spent_bytes() == 0


def test_bytes_that_come_all_the_time_leave_one_entry_for_each_hour(it):
    """None of them counts for ever because others follow."""
    for _ in range(100):
        it.ledger.take(1)
        it.wait(HOUR_S / 2)

    assert 48 <= it.ledger.spent_bytes() <= 51
    assert it.path.stat().st_size < 3000


def test_given_back_is_what_was_taken_last(it):
    it.ledger.take(1000)
    it.wait(2 * HOUR_S)
    it.ledger.take(500)

    it.ledger.give_back(600)

    assert it.ledger.spent_bytes() == 900
    it.wait(DAY_S - 2 * HOUR_S)
    assert it.ledger.spent_bytes() == 0


def test_reboot_forgets_nothing(it):
    it.ledger.take(1000)
    it.reboot(off_s=DAY_S - 1)
    assert it.ledger.spent_bytes() == 1000

    it.reboot(off_s=1)

    assert it.ledger.spent_bytes() == 0


def test_clock_that_is_set_within_one_boot_makes_nothing_older(it):
    """As by a time server, on a device that woke up in the past; or by somebody who wants more."""
    it.ledger.take(1000)
    it.unix_s += 10 * 365 * DAY_S

    assert it.ledger.spent_bytes() == 1000


def test_clock_that_is_behind_after_a_reboot_makes_nothing_older(it):
    it.ledger.take(1000)
    it.wait(2 * HOUR_S)
    it.ledger.take(10)
    it.reboot(unix_s=0.0)
    assert it.ledger.spent_bytes() == 1010
    it.ledger.take(1)

    it.wait(DAY_S - 2 * HOUR_S)
    assert it.ledger.spent_bytes() == 11
    it.wait(2 * HOUR_S)
    assert it.ledger.spent_bytes() == 0


def test_device_without_a_clock_has_its_bytes_free_once_it_has_run_for_a_day(it):
    """Its wall clock says the same at each start; by that alone they would never be."""
    it.ledger.take(1000)
    it.reboot(unix_s=0.0)
    it.wait(DAY_S - it.booted_s - 1)
    assert it.ledger.spent_bytes() == 1000

    it.wait(1)

    assert it.ledger.spent_bytes() == 0


def test_time_until_bytes_are_free_again_is_that_of_the_oldest(it):
    it.ledger.take(600)
    it.wait(5 * HOUR_S)
    it.ledger.take(400)

    assert it.ledger.free_in_s(100, limit=1100) == 0.0
    assert it.ledger.free_in_s(100, limit=1000) == DAY_S - 5 * HOUR_S
    assert it.ledger.free_in_s(700, limit=1000) == DAY_S


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 100, b"x" * 100_000])
def test_damaged_ledger_is_begun_anew(it, content, caplog):
    it.path.write_bytes(content)

    assert it.ledger.spent_bytes() == 0
    it.ledger.take(7)

    assert it.ledger.spent_bytes() == 7
    assert "forgotten" in caplog.text


@given(st.lists(st.tuples(st.integers(1, 10**6), st.floats(0, 2 * HOUR_S)), max_size=40))
@settings(max_examples=20)
def test_no_24_hours_have_more_than_is_counted(tmp_path_factory, takes):
    """Whatever lies within the last day is in the sum."""
    it = Machine(tmp_path_factory.mktemp("ledger") / "ledger.json")
    history = []
    for size, pause_s in takes:
        it.ledger.take(size)
        history.append((it.unix_s, size))
        it.wait(pause_s)

    recent = sum(size for at_s, size in history if it.unix_s - at_s < DAY_S - 1e-3)
    assert it.ledger.spent_bytes() >= recent


def test_present_moment_is_of_this_boot():
    first, second = read_moment(5.0), read_moment(6.0)

    assert first.boot == second.boot
    assert first.booted_s <= second.booted_s
    assert (first.unix_s, second.unix_s) == (5.0, 6.0)


def test_refreshes_that_run_beside_each_other_lose_nothing(it):
    """Each reads the file, adds to it, and writes it anew."""
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda _: it.ledger.take(1), range(100)))

    assert it.ledger.spent_bytes() == 100
