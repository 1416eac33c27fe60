"""What a device's power supplies mean, as laptops, boards and phones report them."""

import pytest

from edged.sense.power import SupplyText, plugged_in

FULL, CHARGING, DISCHARGING, RESTING, UNKNOWN = (
    SupplyText(name="BAT0", type="Battery", status=status, present="1")
    for status in ("Full", "Charging", "Discharging", "Not charging", "Unknown")
)
AC_ON, AC_OFF = (SupplyText(name="AC", type="Mains", online=online) for online in "10")
USB_ON, USB_OFF = (SupplyText(name="ucsi-1", type="USB", online=online) for online in "10")
MOUSE = SupplyText(name="hidpp_0", type="Battery", status="Discharging", scope="Device")
EMPTY_BAY = SupplyText(name="BAT1", type="Battery", present="0")
PEN_CHARGER = SupplyText(name="pen", type="Wireless", online="0", scope="Device")
GONE = SupplyText(name="ucsi-2", type="", online="0")
AC_SILENT = SupplyText(name="AC", type="Mains")
UPS_ON_BATTERY = SupplyText(name="ups", type="UPS", status="Discharging")


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        pytest.param([], True, id="board without any supply"),
        pytest.param([AC_OFF], True, id="adapter that says nothing of use, and no battery"),
        pytest.param([MOUSE], True, id="only the battery of a mouse"),
        pytest.param([EMPTY_BAY], True, id="battery bay that is empty"),
        pytest.param([AC_ON, DISCHARGING], True, id="drained under load at the mains"),
        pytest.param([AC_OFF, DISCHARGING], False, id="on the road"),
        pytest.param([AC_OFF, FULL], False, id="unplugged a moment ago"),
        pytest.param([AC_OFF, RESTING], False, id="unplugged, below the threshold of charging"),
        pytest.param([AC_OFF, CHARGING], True, id="charged by something that is not listed"),
        pytest.param([DISCHARGING], False, id="fuel gauge alone, discharging"),
        pytest.param([FULL], True, id="fuel gauge alone, full"),
        pytest.param([RESTING], True, id="fuel gauge alone, not charging"),
        pytest.param([UNKNOWN], None, id="fuel gauge that does not know"),
        pytest.param([USB_ON, FULL], True, id="USB charger"),
        pytest.param([USB_ON, DISCHARGING], False, id="USB port that feeds another device"),
        pytest.param([USB_OFF, AC_ON, RESTING], True, id="one adapter of two"),
        pytest.param([CHARGING, DISCHARGING], True, id="two batteries, one charged"),
        pytest.param([FULL, DISCHARGING], False, id="two batteries, one in use"),
        pytest.param([UPS_ON_BATTERY], False, id="UPS on its battery"),
        pytest.param([USB_ON, USB_OFF, FULL], True, id="one USB charger of two"),
        pytest.param([FULL, RESTING], True, id="two batteries at rest"),
        pytest.param([PEN_CHARGER, RESTING], True, id="charger of a pen, which brings nothing"),
        pytest.param([GONE, RESTING], True, id="a supply that vanished while it was read"),
        pytest.param([AC_SILENT, FULL], None, id="adapter that cannot be read"),
        pytest.param([AC_SILENT, USB_OFF, FULL], None, id="adapter that cannot be read, beside one that is offline"),
        pytest.param([AC_SILENT, USB_ON, FULL], True, id="adapter that cannot be read, beside one that is online"),
        pytest.param([AC_SILENT, DISCHARGING], False, id="adapter that cannot be read, and a battery that is drained"),
    ],
)
def test_power_comes_from_outside_or_not(supplies, expected):
    assert plugged_in(supplies).value is expected
    assert plugged_in(supplies[::-1]).value is expected


def test_what_is_not_known_names_the_battery():
    assert plugged_in([UNKNOWN]).reason == "no adapter is listed, and BAT0 says Unknown"
    assert plugged_in([SupplyText(name="bq", type="Battery")]).reason == "no adapter is listed, and bq says nothing"
    silent = "AC does not say whether it is online, and BAT0 says Full"
    assert plugged_in([AC_SILENT, USB_OFF, FULL]).reason == silent
