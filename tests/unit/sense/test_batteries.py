"""How full batteries are, and what is drawn from them, in each way that drivers have of saying so."""

import pytest

from edged.sense.batteries import battery_percent, battery_watts, is_absurd
from edged.sense.power import SupplyText


def battery(name="BAT0", *, status="Discharging", present="1", **texts):
    return SupplyText(name=name, type="Battery", status=status, present=present, **texts)


@pytest.mark.parametrize(
    ("texts", "percent"),
    [
        pytest.param({"capacity": "80"}, 80.0, id="says it"),
        pytest.param({"energy_now": "10000000", "energy_full": "40000000"}, 25.0, id="counts energy"),
        pytest.param({"charge_now": "1500000", "charge_full": "2000000"}, 75.0, id="counts charge"),
        pytest.param({"energy_now": "41000000", "energy_full": "40000000"}, 100.0, id="worn"),
        pytest.param({"capacity": "255"}, None, id="absurd"),
        pytest.param({"capacity": "-1"}, None, id="negative"),
        pytest.param({"energy_now": "0", "energy_full": "40000000"}, 0.0, id="empty"),
        pytest.param({"energy_now": "10", "energy_full": "0"}, None, id="full is nothing"),
        pytest.param({"energy_now": "-10", "energy_full": "10"}, None, id="holds less than nothing"),
        pytest.param({"energy_now": "10"}, None, id="does not say what it could hold"),
        pytest.param({"energy_full": "10"}, None, id="does not say what it holds"),
        pytest.param({"capacity": "many"}, None, id="no number"),
        pytest.param({}, None, id="says nothing"),
    ],
)
def test_how_full_one_battery_is(texts, percent):
    reading = battery_percent([battery(**texts)])

    assert reading.value == percent
    assert bool(reading.reason) == (percent is None)


def test_several_batteries_count_by_what_they_hold():
    small = battery("BAT0", energy_now="5000000", energy_full="10000000")
    large = battery("BAT1", energy_now="27000000", energy_full="30000000")

    assert battery_percent([small, large]).value == 80.0


def test_several_batteries_that_count_charge_count_by_that():
    small = battery("BAT0", capacity="50", charge_now="500000", charge_full="1000000")
    large = battery("BAT1", capacity="90", charge_now="2700000", charge_full="3000000")

    assert battery_percent([small, large]).value == 80.0


@pytest.mark.parametrize("unit", ["energy", "charge"])
def test_a_battery_that_only_counts_goes_with_one_that_only_says_a_percentage(unit):
    counts = battery("BAT1", **{f"{unit}_now": "9", f"{unit}_full": "10"})

    assert battery_percent([battery(capacity="50"), counts]).value == 70.0


def test_batteries_that_count_differently_count_alike():
    assert (
        battery_percent(
            [battery(capacity="50", energy_now="5", energy_full="10"), battery("BAT1", capacity="90")]
        ).value
        == 70.0
    )


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param({"capacity": "150"}, id="percent"),
        pytest.param({"energy_now": "15", "energy_full": "10"}, id="energy"),
    ],
)
def test_what_one_battery_says_in_nonsense_is_not_evened_out_by_another(nonsense):
    other = {"capacity": "50"} if "capacity" in nonsense else {"energy_now": "5", "energy_full": "10"}

    assert battery_percent([battery(**nonsense), battery("BAT1", **other)]).reason == "a battery cannot be 150 % full"


def test_one_battery_that_does_not_say_how_full_leaves_all_unknown():
    assert battery_percent([battery(capacity="50"), battery("BAT1")]).reason == "BAT0, BAT1: how full is not said"


def test_empty_bays_and_the_batteries_of_mice_do_not_count():
    mouse = SupplyText(name="hidpp_0", type="Battery", scope="Device", capacity="3", status="Discharging")
    bay = battery("BAT1", present="0", capacity="0")

    assert battery_percent([battery(capacity="64"), bay, mouse]).value == 64.0
    assert battery_percent([bay, mouse]).reason == "this device has no battery"
    assert battery_watts([bay, mouse]).reason == "this device has no battery"


@pytest.mark.parametrize(
    ("texts", "watts"),
    [
        pytest.param({"power_now": "14250000"}, 14.25, id="says it"),
        pytest.param({"current_now": "1000000", "voltage_now": "12000000"}, 12.0, id="current and voltage"),
        pytest.param({"current_now": "-1000000", "voltage_now": "3700000"}, 3.7, id="current that leaves"),
        pytest.param({"power_now": "-5000000"}, 5.0, id="power that leaves"),
        pytest.param({"power_now": "99000000000"}, None, id="absurd"),
        pytest.param({"current_now": "1000000"}, None, id="no voltage"),
        pytest.param({"power_now": "0"}, None, id="does not know"),
        pytest.param(
            {"power_now": "0", "current_now": "1000000", "voltage_now": "12000000"}, 12.0, id="knows the current"
        ),
        pytest.param({"power_now": "n/a"}, None, id="no number"),
    ],
)
def test_what_is_drawn_from_a_battery(texts, watts):
    assert battery_watts([battery(**texts)]).value == (None if watts is None else pytest.approx(watts))


def test_a_drained_battery_that_does_not_say_its_power_leaves_that_of_the_device_unknown():
    drained = [battery(power_now="5000000"), battery("BAT1")]

    assert battery_watts(drained).reason == "BAT0, BAT1: power is not said"


def test_what_a_battery_is_charged_with_is_not_what_the_device_draws():
    assert battery_watts([battery(status="Charging", power_now="30000000")]).reason == "no battery is being drained"


def test_all_batteries_that_are_drained_count():
    drawn = [battery(power_now="5000000"), battery("BAT1", power_now="2000000"), battery("BAT2", status="Full")]

    assert battery_watts(drawn).value == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("capacity", "absurd"), [("0", False), ("104", False), ("106", True), ("-1", True), ("", False)]
)
def test_what_no_battery_can_say_is_noticed(capacity, absurd):
    assert is_absurd(battery(capacity=capacity)) is absurd


def test_what_is_no_battery_says_no_nonsense_about_one():
    assert not is_absurd(SupplyText(name="AC", type="Mains", capacity="255"))


def test_what_the_battery_of_a_mouse_says_is_no_nonsense_about_the_device():
    assert not is_absurd(SupplyText(name="hidpp_0", type="Battery", scope="Device", capacity="255"))
    assert not is_absurd(battery(capacity="255", present="0"))
