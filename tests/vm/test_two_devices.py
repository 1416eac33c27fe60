"""Two of these devices on one machine, as when somebody runs these checks while others run."""

import os
from pathlib import Path

from tests.vm.device import Device

START = "systemd-run --quiet --unit=alike sleep infinity"
STATE = "systemctl is-active alike"


def test_what_one_device_ends_goes_on_in_the_other(device, tmp_path):
    """Service managers in one control group would end each other's services of the same name."""
    device.run(START)
    with Device(Path(os.environ["EDGED_DEVICE_ROOT"]), binds={}, console=tmp_path / "console.log") as other:
        other.run(START)
        other.run("systemctl kill --signal=KILL alike")
        other.wait_for(f"{STATE} | grep -qx failed", timeout_s=30.0)

        assert device.output(STATE) == "active"
    device.run("systemctl stop alike")
