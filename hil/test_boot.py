"""The packages on Debian's own kernel, where cgroups, address filters and Landlock are what they are on a device."""

import pytest

UNITS = ("edged.service", "edged.socket", "edged-admin.socket", "edged-tensor.socket", "edged-egress.socket")


@pytest.mark.parametrize("unit", UNITS)
def test_unit_is_active(board, unit):
    assert board.run(f"systemctl is-active {unit}") == "active"


def test_nothing_of_edged_has_failed(board):
    assert board.run("systemctl list-units --failed --no-legend --plain 'edged*'") == ""


def test_limits_of_the_units_are_in_force(board):
    """What a container does not show: the kernel has the limits of memory and tasks that the unit asks for."""
    path = "/sys/fs/cgroup" + board.run("systemctl show --property=ControlGroup --value edged.service")
    assert int(board.run(f"cat {path}/pids.max")) == 512
    assert 0 < int(board.run(f"cat {path}/memory.high")) < 1 << 30


def test_model_answers(gauge):
    assert gauge.json("edgectl status --json")["models"][0]["state"] == "serving"
