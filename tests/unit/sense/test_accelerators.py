"""What besides processors there is to compute with."""

import pytest

from edged.sense.accelerators import accelerators
from edged.sense.snapshot import DeviceText, Snapshot


def node(driver=""):
    return DeviceText(name="node", texts={"device/uevent": f"OF_NAME=x\nDRIVER={driver}\n"} if driver else {})


def made_up(uevent):
    return DeviceText(name="node", texts={"device/uevent": uevent})


@pytest.mark.parametrize(
    ("devices", "found"),
    [
        pytest.param({}, {"cpu"}, id="nothing"),
        pytest.param({"render_nodes": (node("v3d"),)}, {"cpu", "gpu"}, id="graphics"),
        pytest.param({"render_nodes": (node(),)}, {"cpu", "gpu"}, id="graphics whose driver is not said"),
        pytest.param({"render_nodes": (node("virtio_gpu"), node("vgem"))}, {"cpu"}, id="graphics that only pretend"),
        pytest.param({"render_nodes": (made_up("MODALIAS=platform:vgem"),)}, {"cpu"}, id="made up"),
        pytest.param({"render_nodes": (made_up("DRIVER=faux_driver"),)}, {"cpu"}, id="made up since Linux 6.15"),
        pytest.param(
            {"render_nodes": (made_up("MODALIAS=platform:vgem\nDRIVER=x"),)}, {"cpu", "gpu"}, id="driver first"
        ),
        pytest.param({"render_nodes": (node("vgem"), node("i915"))}, {"cpu", "gpu"}, id="one of two"),
        pytest.param({"compute_nodes": (node(),)}, {"cpu", "npu"}, id="accel node"),
        pytest.param({"edge_processors": (node(),)}, {"cpu", "npu"}, id="Edge TPU"),
        pytest.param({"nvidia": (node(),)}, {"cpu", "gpu"}, id="NVIDIA's own driver"),
    ],
)
def test_what_is_there_is_found(devices, found):
    assert accelerators(Snapshot(devices=devices)) == found
