"""Energy is attributed to models only where it is measured, and never more of it than there is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.energy.attribution import Attribution, Look, Process, Work
from edged.sense.reading import known, unknown

KEY = ("gauge", "gauge-1.0.0-fp32-any")
OTHER = ("gauge", "gauge-1.0.0-int8-any")
STEP_S = 10.0


class Device:
    """Takes looks every ten seconds at a device of two processors."""

    def __init__(self):
        self.attribution = Attribution()
        self.at_s = 0.0
        self.busy_s = 0.0
        self.work = {KEY: Work(runs=0, run_s=0.0)}

    def look(self, watts, *, busy_s=0.1, ran=(), used=(), step_s=STEP_S):
        """Take a look after some runs, and after workers have used some processor time."""
        self.at_s += step_s
        self.busy_s += busy_s
        for key, runs, run_s in ran:
            before = self.work.get(key, Work(runs=0, run_s=0.0))
            self.work[key] = replace(before, runs=before.runs + runs, run_s=before.run_s + run_s)
        for key, used_s in used:
            process = self.work[key].process or Process(pid=7, processor_s=0.0)
            self.work[key] = replace(self.work[key], process=replace(process, processor_s=process.processor_s + used_s))
        reading = unknown("nothing on this device measures power") if watts is None else known(watts)
        return self.attribution.take(Look(at_s=self.at_s, watts=reading, busy_s=self.busy_s, work=dict(self.work)))

    def rest(self, watts=3.0, times=4):
        for _ in range(times):
            self.look(watts)


@pytest.fixture
def device():
    return Device()


def test_models_get_what_is_drawn_above_idle_for_their_share_of_the_time(device):
    """Two watts above idle for ten seconds, of which half of the busy time were the model's runs: ten joules."""
    device.rest(watts=3.0)

    interval = device.look(5.0, busy_s=8.0, ran=[(KEY, 100, 4.0)])

    assert interval.joules == 50.0
    assert interval.costs[KEY].joules == pytest.approx(10.0)
    assert interval.reason == ""


def test_variants_share_by_the_time_of_their_runs(device):
    device.rest(watts=3.0)

    costs = device.look(5.0, busy_s=4.0, ran=[(KEY, 10, 3.0), (OTHER, 30, 1.0)]).costs

    assert costs[KEY].joules == pytest.approx(15.0)
    assert costs[OTHER].joules == pytest.approx(5.0)


def employ(device, *keys, **work):
    """Have workers in which nothing has run yet."""
    for pid, key in enumerate(keys, start=7):
        device.work[key] = Work(runs=0, run_s=0.0, process=Process(pid=pid, processor_s=1.0), **work)


def test_variants_share_by_what_their_workers_keep_busy(device):
    """For as long as a run on one core, one on two cores costs twice as much."""
    employ(device, KEY, OTHER)
    device.rest(watts=3.0)

    costs = device.look(6.0, busy_s=10.0, ran=[(KEY, 10, 3.0), (OTHER, 10, 3.0)], used=[(KEY, 3.0), (OTHER, 6.0)]).costs

    assert costs[KEY].joules == pytest.approx(30 * 3 / 10)
    assert costs[OTHER].joules == pytest.approx(30 * 6 / 10)


def test_a_run_that_waits_for_its_core_does_not_cost_more(device):
    """Others keep the processors busy meanwhile."""
    employ(device, KEY)
    device.rest(watts=3.0)

    assert device.look(5.0, busy_s=20.0, ran=[(KEY, 1, 9.0)], used=[(KEY, 5.0)]).costs[KEY].joules == pytest.approx(5.0)


@pytest.mark.parametrize(("used_s", "counted_s"), [(0.5, 4.0), (6.0, 6.0)])
def test_on_an_accelerator_the_larger_time_counts(device, used_s, counted_s):
    employ(device, KEY, may_accelerate=True)
    device.rest(watts=3.0)

    cost = device.look(5.0, busy_s=8.0, ran=[(KEY, 10, 4.0)], used=[(KEY, used_s)]).costs[KEY]
    assert cost.joules == pytest.approx(20.0 * counted_s / 8.0)


def test_what_a_run_uses_counts_before_it_has_ended(device):
    """And what the device draws meanwhile is not its idle baseline."""
    employ(device, KEY)
    device.rest(watts=3.0)
    under_way = [device.look(5.0, busy_s=10.0, used=[(KEY, 10.0)]).costs[KEY] for _ in range(20)]
    ended = device.look(5.0, busy_s=10.0, ran=[(KEY, 1, 210.0)], used=[(KEY, 10.0)]).costs[KEY]

    assert [cost.runs for cost in (*under_way, ended)] == [0] * 20 + [1]
    assert [cost.joules for cost in (*under_way, ended)] == pytest.approx([20.0] * 21)
    assert device.attribution.baseline_watts == 3.0


def test_a_worker_that_nobody_asks_is_no_work(device):
    employ(device, KEY)
    device.rest(watts=3.0)
    interval = device.look(4.0, used=[(KEY, 0.05)])

    assert interval.costs == {}
    assert device.attribution.baseline_watts == 3.0


def loaded_again(process):
    return Process(pid=process.pid + 1, processor_s=process.processor_s + 8.0)


def begun_again(process):
    return Process(pid=process.pid, processor_s=0.5)


@pytest.mark.parametrize("following", [loaded_again, begun_again, lambda _process: None])
def test_of_a_worker_that_was_not_there_before_the_runs_count(device, following):
    """It has loaded its model since, and of the one before nobody knows how it ended."""
    employ(device, KEY)
    device.rest(watts=3.0)
    device.look(5.0, busy_s=8.0, ran=[(KEY, 100, 3.0)], used=[(KEY, 6.0)])
    device.work[KEY] = replace(device.work[KEY], process=following(device.work[KEY].process))

    assert device.look(5.0, busy_s=8.0, ran=[(KEY, 100, 4.0)]).costs[KEY].joules == pytest.approx(10.0)
    process = device.work[KEY].process
    again = device.look(5.0, busy_s=8.0, ran=[(KEY, 100, 4.0)], used=[(KEY, 6.0)]).costs[KEY]
    assert again.joules == pytest.approx(20.0 * (4.0 if process is None else 6.0) / 8.0)


def test_a_device_that_draws_no_more_than_idle_spends_nothing_on_models(device):
    device.rest(watts=3.0)

    assert device.look(2.5, busy_s=4.0, ran=[(KEY, 10, 3.0)]).costs[KEY].joules == 0.0


def test_without_power_nothing_is_guessed(device):
    device.rest(watts=None)

    interval = device.look(None, busy_s=4.0, ran=[(KEY, 10, 3.0)])

    assert interval.joules is None
    assert interval.costs[KEY].joules is None
    assert interval.reason == "nothing on this device measures power"


def test_without_a_baseline_nothing_is_guessed(device):
    """A device whose models run all the time has never shown what it draws without them."""
    for _ in range(5):
        interval = device.look(5.0, busy_s=4.0, ran=[(KEY, 10, 3.0)])

    assert interval.costs[KEY].joules is None
    assert "not known yet" in interval.reason
    assert device.attribution.baseline_watts is None


def test_runs_that_are_rare_are_not_measured(device):
    """What the device draws more in that time may have any reason."""
    device.rest()

    interval = device.look(9.0, busy_s=0.3, ran=[(KEY, 10, 0.2)])

    assert interval.costs[KEY].joules is None
    assert "too small a share" in interval.reason


def test_processors_that_nobody_can_look_at_leave_it_unknown(device):
    device.rest()
    device.busy_s = -1e9

    assert device.look(5.0, ran=[(KEY, 10, 3.0)]).costs[KEY].joules is None


def test_the_baseline_is_of_looks_without_runs_and_not_of_peaks(device):
    for watts in (3.0, 3.0, 3.1, 9.0, 3.0, 3.2):
        device.look(watts)
    device.look(8.0, busy_s=9.0, ran=[(KEY, 100, 9.0)])

    assert device.attribution.baseline_watts == 3.0


def test_a_sleep_between_two_looks_says_nothing(device):
    device.rest()

    assert device.look(5.0, ran=[(KEY, 10, 3.0)], step_s=3600.0) is None


def test_a_variant_that_is_loaded_anew_counts_from_its_beginning(device):
    device.rest()
    device.look(5.0, busy_s=4.0, ran=[(KEY, 100, 3.0)])
    device.work[KEY] = Work(runs=0, run_s=0.0)

    cost = device.look(5.0, busy_s=4.0, ran=[(KEY, 7, 0.5)]).costs[KEY]

    assert (cost.runs, cost.run_s) == (7, 0.5)


@given(
    st.lists(
        st.tuples(st.floats(0, 50), *[st.floats(0, 20)] * 4, st.integers(0, 9), st.booleans()),
        max_size=40,
    )
)
def test_models_never_spend_more_than_the_device(looks):
    device = Device()
    employ(device, KEY, OTHER)
    device.rest()
    for watts, busy_s, run_s, used_s, other_s, runs, may_accelerate in looks:
        device.work[OTHER] = replace(device.work[OTHER], may_accelerate=may_accelerate)
        interval = device.look(
            watts,
            busy_s=busy_s,
            ran=[(KEY, runs, run_s), (OTHER, runs, run_s)],
            used=[(KEY, used_s), (OTHER, other_s)],
        )
        spent = sum(cost.joules or 0.0 for cost in interval.costs.values())

        assert 0.0 <= spent <= interval.joules + 1e-9


def test_each_run_counts_once(device):
    device.rest()
    intervals = [device.look(5.0, busy_s=8.0, ran=[(KEY, runs, 4.0)]) for runs in (100, 50, 7)]

    assert [interval.costs[KEY].runs for interval in intervals] == [100, 50, 7]
    assert [interval.costs[KEY].run_s for interval in intervals] == pytest.approx([4.0] * 3)


def test_runs_are_counted_however_short_they_were(device):
    device.look(3.0)

    assert device.look(3.0, ran=[(KEY, 2, 0.001)]).costs[KEY].runs == 2


def test_the_baseline_is_the_lower_quartile_of_the_last_sixty_looks_and_takes_three_of_them(device):
    """Of a first look nobody knows what was before it."""
    known = []
    for _ in range(5):
        device.look(0.5)
        known.append(device.attribution.baseline_watts)
    assert known == [None, None, None, 0.5, 0.5]

    for watts in range(12):
        for _ in range(5):
            device.look(1.0 + watts)
    assert device.attribution.baseline_watts == 4.0


@pytest.mark.parametrize(("run_s", "is_idle"), [(0.09, True), (0.11, False)])
def test_a_device_is_idle_while_models_run_for_less_than_a_hundredth_of_the_time(device, run_s, is_idle):
    for _ in range(10):
        device.look(3.0, ran=[(KEY, 1, run_s)])

    assert (device.attribution.baseline_watts is not None) is is_idle


@pytest.mark.parametrize(("run_s", "is_measured"), [(0.49, False), (0.51, True)])
def test_models_are_seen_in_what_a_device_draws_from_a_twentieth_of_the_time_on(device, run_s, is_measured):
    device.rest()

    assert (device.look(5.0, busy_s=1.0, ran=[(KEY, 1, run_s)]).costs[KEY].joules is not None) is is_measured


@pytest.mark.parametrize(("step_s", "is_known"), [(0.0, False), (0.5, True), (60.0, True), (61.0, False)])
def test_looks_are_a_minute_apart_at_most_and_never_at_the_same_moment(device, step_s, is_known):
    device.rest()

    assert (device.look(5.0, step_s=step_s) is not None) is is_known


@pytest.mark.parametrize("knows_before", [True, False])
def test_processors_of_which_only_one_look_knows_leave_it_unknown(device, knows_before):
    device.rest()
    looks = [Look(at_s=at_s, watts=known(5.0), busy_s=float(at_s), work={}) for at_s in (100, 110)]
    looks[1] = replace(looks[1], work={KEY: Work(runs=9, run_s=5.0)})
    looks[knows_before] = replace(looks[knows_before], busy_s=None)
    device.attribution.take(looks[0])

    interval = device.attribution.take(looks[1])

    assert (interval.costs[KEY].joules, interval.reason) == (None, "nobody knows how busy the processors were")


def test_where_nothing_ran_nothing_is_missing(device):
    device.rest(watts=None)

    assert device.look(None).reason == ""
