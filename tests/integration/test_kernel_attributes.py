"""What the real kernel does with attributes that are kept open when their device goes away, which no tree of files can show."""

import os
import shutil
import subprocess

import pytest

from edged.sense.attributes import KeptDevice, KeptFile

NAME = f"edged{os.getpid()}"


def ip(*arguments):
    subprocess.run(["ip", "link", *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture
def bridge():
    """A device that needs no hardware."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("adding a device to the kernel takes root and iproute2")
    try:
        ip("add", NAME, "type", "bridge")
    except subprocess.CalledProcessError as exc:
        pytest.skip(f"the kernel adds no bridge here: {exc.stderr.decode().strip()}")
    yield f"/sys/class/net/{NAME}"
    subprocess.run(["ip", "link", "del", NAME], check=False, capture_output=True, timeout=20)


def test_an_attribute_that_is_kept_open_reads_what_it_is_now(bridge):
    mtu = KeptFile(f"{bridge}/mtu")
    before = mtu.read()
    ip("set", NAME, "mtu", "1300")

    assert (before, mtu.read()) == ("1500", "1300")
    mtu.close()


def test_a_device_that_went_away_is_noticed_and_another_under_its_name_is_read(bridge):
    device = KeptDevice(bridge, fixed=["address"], live=["mtu"])
    assert device.look().texts["mtu"] == "1500"
    assert not device.is_gone

    ip("del", NAME)
    assert device.look().errors == {"mtu": "No such device"}
    assert device.is_gone

    ip("add", NAME, "type", "bridge")
    assert device.look().texts["mtu"] == "1500"
    device.close()
