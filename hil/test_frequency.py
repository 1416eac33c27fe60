"""The cap on the processors' frequency with a driver of the kernel's: acpi-cpufreq, whose hardware is a register that can be read.

One spell of heat for the whole file, since the 30 seconds that a sensor has to be cool for are real ones. The rule "hot" of the afternoon's
policy asks for 0.6 of 2400 MHz; the hardware has 600, 1200, 1800 and 2400.
"""

import shlex

import pytest

SEEN_S = 120
PROCESSORS = "/sys/devices/system/cpu"
CPUFREQ = f"{PROCESSORS}/cpufreq"
KNOWN = "/run/edged-frequency/capped.json"
KERNELS_OWN = "/sys/class/thermal/cooling_device*/cur_state"
SETTINGS = (f"{CPUFREQ}/policy0/scaling_max_freq", f"{PROCESSORS}/cpu1/online")
LOOK = (
    "[Service]",
    "ExecStart=",
    f'ExecStart=/usr/bin/python3 -I -c "import os; print(*(os.access(path, os.W_OK) for path in {SETTINGS}))"',
)


def limit_is(number, limit_khz):
    """Return a command that succeeds when policy NUMBER shows this limit."""
    return (
        f"cat {CPUFREQ}/policy{number}/scaling_max_freq; grep -qx {limit_khz} {CPUFREQ}/policy{number}/scaling_max_freq"
    )


def set_file(board, path, value):
    board.run(f"for file in {path}; do echo {value} >$file; done")


@pytest.fixture(scope="module")
def clocks(gauge, chips, env):
    """The board, with an administrator's cap of 600 MHz on the second processor, and each as fast as it may be."""
    if "clocks" not in env.get_target_features():
        pytest.skip("what this board's processors were told cannot be read: it has no feature 'clocks'")
    chips.set("heat", 40)
    gauge.wait_for(limit_is(0, 2_400_000), timeout_s=SEEN_S)
    set_file(gauge, f"{CPUFREQ}/policy*/scaling_governor", "performance")
    set_file(gauge, f"{CPUFREQ}/policy1/scaling_max_freq", 600_000)
    yield gauge
    set_file(gauge, f"{CPUFREQ}/policy*/scaling_governor", "schedutil")
    set_file(gauge, f"{CPUFREQ}/policy1/scaling_max_freq", 2_400_000)


@pytest.fixture(scope="module")
def hot(clocks, chips):
    """The same, hot, and with the cap switched on while it was cool."""
    clocks.run("systemctl enable --now edged-frequency.path")
    chips.set("heat", 82)
    clocks.wait_for(limit_is(0, 1_200_000), timeout_s=SEEN_S)
    yield clocks
    chips.set("heat", 40)
    clocks.run("systemctl stop edged-frequency.path; systemctl --no-reload disable edged-frequency.path")


def test_edged_reads_the_driver(clocks):
    clocks.wait_for(
        "edgectl device >/tmp/device && cat /tmp/device"
        " && grep -q 'cpufreq policy0 .* 2400 MHz' /tmp/device && grep -q 'cpufreq policy1 .* capped to 600' /tmp/device",
        timeout_s=SEEN_S,
    )


def test_nothing_is_capped_unless_an_administrator_says_so(clocks):
    assert clocks.run("systemctl is-enabled edged-frequency.path", codes=(1,)) == "disabled"


def test_heat_caps_what_the_hardware_does(hot, chips):
    """Down to what it has below 1440 MHz."""
    assert hot.run(f"cat {CPUFREQ}/policy0/scaling_cur_freq") == "1200000"
    assert chips.frequency_mhz(0) == 1200


def test_an_administrators_lower_cap_stays(hot, chips):
    assert hot.run(f"cat {CPUFREQ}/policy1/scaling_max_freq") == "600000"
    assert chips.frequency_mhz(1) == 600


def test_the_unit_may_write_nothing_else_below_sys(hot):
    """Root owns every setting of a processor; in this unit even one beside those of cpufreq is read-only."""
    hot.run("mkdir -p /run/systemd/system/edged-frequency@look.service.d")
    hot.run(f"printf '%s\\n' {shlex.join(LOOK)} >/run/systemd/system/edged-frequency@look.service.d/look.conf")
    hot.run(
        "systemctl daemon-reload; systemctl start edged-frequency@look.service; journalctl --sync", timeout_s=SEEN_S
    )

    said = hot.run("journalctl -u edged-frequency@look.service -o cat --no-pager _COMM=python3").split()
    hot.run("rm -r /run/systemd/system/edged-frequency@look.service.d")
    assert said == ["True", "False"]


def test_switching_it_off_undoes_it_and_on_again_caps_at_once(hot, chips):
    hot.run("systemctl disable --now edged-frequency.path")
    hot.wait_for(limit_is(0, 2_400_000), timeout_s=SEEN_S)
    assert chips.frequency_mhz(0) == 2400

    hot.run("systemctl start edged-frequency.path")
    hot.wait_for(limit_is(0, 1_200_000), timeout_s=SEEN_S)


def test_what_was_before_comes_back_when_it_is_cool_though_the_kernel_holds_back_meanwhile(hot, chips):
    """The kernel's own cooling shows in the same number, and is no cap of an administrator's."""
    set_file(hot, KERNELS_OWN, 3)
    hot.wait_for(limit_is(0, 600_000), timeout_s=SEEN_S)
    chips.set("heat", 40)
    hot.wait_for(f"grep '\"after\":2400000' {KNOWN}", timeout_s=SEEN_S)
    set_file(hot, KERNELS_OWN, 0)

    hot.wait_for(limit_is(0, 2_400_000), timeout_s=SEEN_S)
    assert chips.frequency_mhz(0) == 2400
    assert hot.run(f"cat {CPUFREQ}/policy1/scaling_max_freq") == "600000"


def test_what_the_kernel_holds_back_at_the_first_look_is_read_once_that_is_over(hot):
    """Both processors show the same, and what was set for each only then: nobody is asked to look again but the daemon."""
    hot.run("systemctl stop edged-frequency.path")
    hot.wait_for(f"! test -e {KNOWN}", timeout_s=SEEN_S)
    set_file(hot, KERNELS_OWN, 3)
    hot.wait_for("edgectl device >/tmp/device && grep 'is at 3 of' /tmp/device", timeout_s=SEEN_S)
    hot.run("systemctl start edged-frequency.path")
    hot.wait_for(f"grep '\"policies\":{{}}' {KNOWN}", timeout_s=SEEN_S)
    hot.wait_for(limit_is(0, 600_000), timeout_s=SEEN_S)

    set_file(hot, KERNELS_OWN, 0)
    hot.wait_for(limit_is(0, 2_400_000), timeout_s=SEEN_S)
    hot.wait_for(f"grep '\"before\":2400000' {KNOWN}", timeout_s=SEEN_S)
    hot.wait_for(f"grep '\"before\":600000' {KNOWN}", timeout_s=SEEN_S)
