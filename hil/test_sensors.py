"""What the kernel's drivers say about heat and charge, as edged understands it."""

import pytest

SEEN_S = 60


def context(board):
    return board.json("edgectl device --json")


def test_temperature_of_a_chip_is_read(board, chips):
    chips.set("heat", 57)
    board.wait_for("cat /sys/class/hwmon/*/temp1_input | grep -qx 57000", timeout_s=SEEN_S)


@pytest.mark.parametrize(("status", "power"), [("discharging", "battery"), ("charging", "mains")])
def test_battery_says_what_the_board_runs_on(board, chips, status, power):
    chips.set("battery", 64, status)
    board.wait_for(f"edgectl device --json | grep -q '\"{power}\"'", timeout_s=SEEN_S)
