"""Energy is attributed to models only where it is measured, and never more of it than there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.energy.attribution import Attribution, Look, Work
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

    def look(self, watts, *, busy_s=0.1, ran=(), step_s=STEP_S):
        self.at_s += step_s
        self.busy_s += busy_s
        for key, runs, run_s in ran:
            before = self.work.get(key, Work(runs=0, run_s=0.0))
            self.work[key] = Work(runs=before.runs + runs, run_s=before.run_s + run_s)
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


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20), st.floats(0, 20), st.integers(0, 9)), max_size=40))
def test_models_never_spend_more_than_the_device(looks):
    device = Device()
    device.rest()
    for watts, busy_s, run_s, runs in looks:
        interval = device.look(watts, busy_s=busy_s, ran=[(KEY, runs, run_s)])
        spent = sum(cost.joules or 0.0 for cost in interval.costs.values())

        assert 0.0 <= spent <= interval.joules + 1e-9
