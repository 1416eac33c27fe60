"""A caller's unit: read once at most, and from the path that systemd gives cgroups."""

import pytest

from edged.callers.caller import Caller, unit_of_cgroup


def test_unit_is_read_when_first_asked_for_and_never_again():
    reads = []
    caller = Caller(uid=1, user="kiosk", read_unit=lambda: reads.append(1) or "kiosk.service")

    assert not reads
    assert (caller.unit, caller.unit) == ("kiosk.service", "kiosk.service")
    assert reads == [1]


def test_unknown_unit_is_not_looked_for_again():
    reads = []
    caller = Caller(uid=1, user="kiosk", read_unit=lambda: reads.append(1))

    assert (caller.unit, caller.unit) == (None, None)
    assert reads == [1]


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/system.slice/kiosk.service", "kiosk.service"),
        ("/system.slice/system-camera.slice/camera@front.service", "camera@front.service"),
        ("/../kiosk.service", "kiosk.service"),
        ("/../system-camera.slice/camera@front.service", "camera@front.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("/../../user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        # What a user's own manager starts, or a service in a part that was delegated to it, may have any name.
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/kiosk.service", "user@1000.service"),
        ("/system.slice/build.service/kiosk.service", "build.service"),
        ("/system.slice/build.service/supervisor/kiosk.service", "build.service"),
        ("/system.slice/docker-0123.scope", "docker-0123.scope"),
        ("/system.slice/dev\\x2dsda.service", "dev\\x2dsda.service"),
        ("/system.slice/_cgroup.service", "cgroup.service"),
        ("/init.scope", "init.scope"),
        ("/", None),
        ("/../..", None),
        ("/system.slice", None),
        ("/kubepods/pod1/kiosk.service", None),
        ("/system.slice/run-lock.mount", None),
        ("/system.slice/kiosk.service (deleted)", None),
        ("/system.slice/kiosk.servicex", None),
        ("/system.slice/ki osk.service", None),
    ],
)
def test_unit_is_the_first_part_that_is_no_slice(path, unit):
    assert unit_of_cgroup(f"0::{path}\n") == unit


def test_named_hierarchy_of_systemd_is_not_mistaken_for_cgroup_v2():
    assert unit_of_cgroup("1:name=systemd:/system.slice/kiosk.service\n") is None


def test_cgroup_v2_is_found_beside_older_hierarchies():
    text = "5:cpu:/kiosk\n1:name=systemd:/system.slice/other.service\n0::/system.slice/kiosk.service\n"

    assert unit_of_cgroup(text) == "kiosk.service"


@pytest.mark.parametrize("text", ["", "\n", "0:", "0::", "garbage"])
def test_text_without_a_path_names_no_unit(text):
    assert unit_of_cgroup(text) is None
