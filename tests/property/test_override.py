"""How long an override lasts, over any reboots and whatever the wall clock does."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edged.policy.document import Then
from edged.policy.override import (
    AHEAD_S,
    ENOUGH_S,
    LOOK_EVERY_S,
    Override,
    carried_over,
    counted_ahead,
    left_s,
)

BEGAN_UNIX_S = 1_800_000_000.0
LONGEST_PAUSE_S = ENOUGH_S
"""Between two looks: with as much lateness as there is room for."""

WALL_CLOCKS = st.floats(-1e9, 3e9) | st.just(BEGAN_UNIX_S)
PAUSES = st.lists(st.tuples(st.floats(0.0, LONGEST_PAUSE_S), WALL_CLOCKS | st.none()), max_size=30)
STARTS = st.lists(st.tuples(st.floats(0.0, 100.0), WALL_CLOCKS, PAUSES), max_size=15)


@dataclass
class Machine:
    """One with an override, which is looked at at the start of the daemon and from then on now and then."""

    written: Override
    """What is on the disk."""
    in_force_s: float = 0.0

    def start(self, boot_id: str, *, boot_s: float, unix_s: float) -> None:
        """Start the daemon, so long after the machine."""
        self.boot_s, self.unix_s = boot_s, unix_s
        self.kept = carried_over(self.written, unix_s=unix_s, boot_id=boot_id, boot_s=boot_s)

    def run(self, seconds: float) -> None:
        """Look, and run; whatever comes then may come before the next look."""
        self.kept = self.written = counted_ahead(self.kept, boot_s=self.boot_s)
        left = left_s(self.kept, unix_s=self.unix_s, boot_s=self.boot_s)
        self.in_force_s += min(max(0.0, left), seconds)
        self.boot_s += seconds
        self.unix_s += seconds

    @property
    def is_over(self) -> bool:
        return left_s(self.kept, unix_s=self.unix_s, boot_s=self.boot_s) <= 0


def begun(for_s: float) -> Machine:
    override = Override(
        model="echo",
        then=Then(variants=("int8",)),
        by="operator alice",
        reason="a demonstration",
        began_unix_s=BEGAN_UNIX_S,
        for_s=for_s,
        boot_id="first",
        until_boot_s=10.0 + for_s,
    )
    machine = Machine(written=counted_ahead(override, boot_s=10.0))
    machine.start("first", boot_s=10.0, unix_s=BEGAN_UNIX_S)
    return machine


@given(for_s=st.floats(1.0, 3600.0), first=PAUSES, later=STARTS)
def test_it_is_never_in_force_for_longer_than_was_asked_for(for_s, first, later):
    """All starts of the machine together; in the last one it comes to its end."""
    machine = begun(for_s)
    for number, (boot_s, unix_s, pauses) in enumerate([(10.0, BEGAN_UNIX_S, first), *later]):
        if number > 0:
            machine.start(f"start {number}", boot_s=boot_s, unix_s=unix_s)
        for seconds, jumped_to in pauses:
            machine.unix_s = machine.unix_s if jumped_to is None else jumped_to
            machine.run(seconds)
    machine.start("last", boot_s=0.0, unix_s=0.0)
    while not machine.is_over:
        machine.run(LOOK_EVERY_S)

    assert machine.in_force_s <= for_s + 1e-3


@given(first_s=st.floats(0.0, LONGEST_PAUSE_S), second_s=st.floats(0.0, LONGEST_PAUSE_S))
def test_what_is_written_down_lasts_until_the_next_look_whenever_that_is(first_s, second_s):
    """Also when a reboot comes just before it."""
    machine = begun(600.0)
    machine.run(first_s)
    machine.run(second_s)

    machine.start("last", boot_s=0.0, unix_s=0.0)
    while not machine.is_over:
        machine.run(LOOK_EVERY_S)

    assert machine.in_force_s <= 600.0 + 1e-3


@given(for_s=st.floats(1.0, 86_400.0), up_s=st.lists(st.floats(0.0, 3600.0), max_size=10))
def test_a_reboot_costs_it_no_more_than_what_was_written_ahead(for_s, up_s):
    """On a machine whose wall clock stands still while it is off, so that nothing else ends it."""
    machine = begun(for_s)
    for number, seconds in enumerate([*up_s, for_s]):
        if number > 0:
            machine.start(f"start {number}", boot_s=0.0, unix_s=BEGAN_UNIX_S)
        left = seconds
        while left > 0:
            machine.run(min(left, LOOK_EVERY_S))
            left -= LOOK_EVERY_S

    assert machine.is_over
    assert machine.in_force_s >= for_s - AHEAD_S * len(up_s) - 1e-3


@given(for_s=st.floats(1.0, 86_400.0), up_s=st.floats(0.0, LOOK_EVERY_S))
def test_however_short_each_start_is_it_comes_to_the_end(for_s, up_s):
    machine = begun(for_s)

    for number in range(int(for_s / AHEAD_S) + 2):
        machine.start(f"start {number}", boot_s=0.0, unix_s=0.0)
        machine.run(up_s)

    machine.start("last", boot_s=0.0, unix_s=0.0)
    assert machine.is_over
