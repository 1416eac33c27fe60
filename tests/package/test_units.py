"""The units as files: their sandbox's score, and the order and completeness that make them easy to review."""

import itertools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edged.config.schema import Config
from edged.worker.seccomp import allowed_calls

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
SERVICES = sorted(SYSTEMD.glob("*.service"))
UNITS = sorted([*SERVICES, *SYSTEMD.glob("*.socket"), *SYSTEMD.glob("*.path")])
# design.md, in the tenths that systemd-analyze's --threshold= counts in.
MOST_EXPOSURE = {
    "edged": 3,
    "edged-update": 3,
    "edged-offload": 3,
    "edged-presence": 3,
    "edged-frequency@": 5,
    "edged-egress": 9,
}
ANALYZE_VERSION = 257
SETTING = re.compile(r"^([A-Za-z]+)=(.*)$")
CONFINING = {
    "close_range",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "prctl",
    "prlimit64",
    "seccomp",
    "setsid",
}


def analyze_version():
    """Return the major version of systemd-analyze, or 0 where there is none."""
    if shutil.which("systemd-analyze") is None:
        return 0
    said = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(said.split()[1])


needs_analyze = pytest.mark.skipif(
    analyze_version() < ANALYZE_VERSION, reason="needs systemd-analyze 257 (the Debian 13 pass has it)"
)


def calls_in(words):
    """Return the system calls that words of SystemCallFilter= stand for."""
    found = set()
    for word in words:
        if word.startswith("@"):
            said = subprocess.run(
                ["systemd-analyze", "syscall-filter", "--no-pager", word], capture_output=True, text=True, check=True
            ).stdout
            found |= calls_in(line.strip() for line in said.splitlines() if line.startswith("    ") and "#" not in line)
        else:
            found.add(word)
    return found


def names(paths):
    """Name parameters by their unit."""
    return [path.name for path in paths]


def settings(unit):
    """Return the unit's settings in the order of the file, as (name, value)."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [(match[1], match[2]) for line in lines if (match := SETTING.match(line))]


def sandbox(unit):
    """Return the lines from the first sandbox setting to the end of the section."""
    return list(
        itertools.takewhile(
            lambda pair: pair[0] != "WantedBy",
            itertools.dropwhile(lambda pair: pair[0] != "AmbientCapabilities", settings(unit)),
        )
    )


@needs_analyze
@pytest.mark.parametrize("service", SERVICES, ids=names(SERVICES))
def test_exposure_score_is_low(service):
    """The static judgement of systemd 257; design.md gives the limits."""
    judged = subprocess.run(
        [
            *("systemd-analyze", "security", "--offline=true", "--no-pager"),
            *(f"--threshold={MOST_EXPOSURE[service.stem]}", str(service)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize("unit", UNITS, ids=names(UNITS))
def test_unit_starts_with_what_an_operator_needs(unit):
    """What it does, whom it talks to, how to switch it off."""
    header = unit.read_text(encoding="utf-8").split("[Unit]")[0]
    assert header.startswith("# ")
    assert "# Talks to: " in header
    assert "# Switch off: systemctl " in header


@pytest.mark.parametrize("service", SERVICES, ids=names(SERVICES))
def test_sandbox_lines_are_sorted(service):
    """A reader finds a setting, or its absence, without searching."""
    listed = [name for name, _ in sandbox(service)]
    assert listed == sorted(listed)


def test_sandboxes_differ_only_where_the_processes_do():
    """The same settings everywhere, but for what names paths and, at the gate, addresses."""
    own = {
        *(
            "BindPaths",
            "InaccessiblePaths",
            "IPAddressAllow",
            "ReadWritePaths",
            "SocketBindDeny",
            "SupplementaryGroups",
        ),
    }
    shared = {frozenset(name for name, _ in sandbox(service)) - own for service in SERVICES}
    assert len(shared) == 1


@pytest.mark.parametrize("service", SERVICES, ids=names(SERVICES))
def test_paths_that_cannot_run_code_are_counted_from_the_units_root(service):
    """With RootDirectory=, NoExecPaths= without "+" names the host's paths and does nothing."""
    values = dict(sandbox(service))
    assert "RootDirectory" in values
    assert all(path.startswith("+/") for path in values["NoExecPaths"].split())


@pytest.mark.parametrize("service", SERVICES, ids=names(SERVICES))
def test_every_writable_path_cannot_run_code(service):
    """Nothing that a process writes can be executed or loaded as a library by it."""
    values = dict(sandbox(service))
    writable = {"/dev/shm", "/tmp", "/var/tmp", *values.get("BindPaths", "").split()}
    assert {f"+{path}" for path in writable} <= set(values["NoExecPaths"].split())


@pytest.mark.parametrize("service", SERVICES, ids=names(SERVICES))
def test_service_is_watched_and_restarted(service):
    """Every process that stays tells when it is ready, proves that it makes progress, and comes back when it does not."""
    values = dict(settings(service))
    if values["Type"] == "oneshot":
        assert "TimeoutStartSec" in values
        return
    assert values["Type"] in {"notify", "notify-reload"}
    assert values["Restart"] == "always"
    assert {"WatchdogSec", "TimeoutStartSec", "TimeoutStopSec", "RestartMaxDelaySec"} <= values.keys()


def test_what_caps_processors_is_off_and_undone():
    """Root without a capability, which may write the settings of processors; stopping the path gives back what was before."""
    service = dict(sandbox(SYSTEMD / "edged-frequency@.service"))
    assert service["CapabilityBoundingSet"] == service["AmbientCapabilities"] == ""
    assert service["ReadWritePaths"] == "+/sys/devices/system/cpu/cpufreq"
    assert service["ProtectKernelTunables"] == "yes"
    path = dict(settings(SYSTEMD / "edged-frequency.path"))
    assert path["PathChanged"] == Config().paths.frequency_wish
    assert (path["Unit"], path["OnSuccess"]) == ("edged-frequency@apply.service", "edged-frequency@undo.service")
    assert path["Wants"] == path["Unit"]
    rules = (SYSTEMD.parent / "debian/rules").read_text(encoding="utf-8")
    assert re.search(r"dh_installsystemd .*--no-enable --no-start .*edged-frequency\.path", rules)


def test_update_never_disturbs_inference():
    """The updater takes what processors and disks have left, far below the weight of 100 that every other unit has."""
    values = dict(settings(SYSTEMD / "edged-update.service"))
    assert values["CPUSchedulingPolicy"] == "batch"
    assert int(values["CPUWeight"]) <= 10
    assert int(values["IOWeight"]) <= 10
    assert int(values["Nice"]) >= 10
    daemon = dict(settings(SYSTEMD / "edged.service"))
    assert int(values["OOMScoreAdjust"]) > int(daemon.get("OOMScoreAdjust", "0"))


@pytest.mark.parametrize("unit", [*SYSTEMD.glob("*.socket")], ids=lambda unit: unit.name)
def test_service_takes_the_descriptors_of_its_sockets(unit):
    """Each is passed under a name, to a service that is ordered after it, and its file goes when it is switched off."""
    values = dict(settings(unit))
    service = SYSTEMD / values["Service"]
    listed = " ".join(value for name, value in settings(service) if name == "Sockets").split()
    assert unit.name in listed
    assert values["FileDescriptorName"]
    assert values["RemoveOnStop"] == "yes"
    assert ("NonBlocking", "yes") in settings(service)
    assert unit.name in " ".join(value for name, value in settings(service) if name == "After").split()


@needs_analyze
def test_daemons_filter_leaves_workers_what_they_need():
    """They confine themselves further, under the unit's filter, and work under both."""
    left = set()
    for name, value in sandbox(SYSTEMD / "edged.service"):
        if name == "SystemCallFilter":
            calls = calls_in(value.removeprefix("~").split())
            left = left - calls if value.startswith("~") else left | calls
    assert not (CONFINING | {name for name, _ in allowed_calls(pid=1)}) - left
