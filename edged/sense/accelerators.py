"""What besides processors a device could compute with, as far as drivers are there for it. Pure.

A render node (``/sys/class/drm/renderD128``, Documentation/gpu/drm-uapi.rst) is a graphics processor unless its driver only pretends to be
one; an accel node (Documentation/accel/introduction.rst) or an apex node (Coral's Edge TPU) is a neural one. NVIDIA's own driver has no
render node of its own in every version, and is known by its devices. Names are those of manifests: ``cpu``, ``gpu``, ``npu``.
"""

from typing import Final

from edged.sense.snapshot import DeviceText, Snapshot

_PRETENDS: Final = frozenset(
    {"virtio_gpu", "vgem", "vkms", "bochs-drm", "qxl", "vmwgfx", "simple-framebuffer", "faux_driver"}
)
_DRIVER: Final = ("DRIVER=", "MODALIAS=platform:")
"""What made the node; a device that vgem makes up for itself has only a name, and since Linux 6.15 the driver of all such devices."""


def accelerators(snapshot: Snapshot) -> frozenset[str]:
    """Return what is there, the processor always among it."""
    found = {"cpu"}
    if snapshot.of("nvidia") or any(_driver(node) not in _PRETENDS for node in snapshot.of("render_nodes")):
        found.add("gpu")
    if snapshot.of("compute_nodes") or snapshot.of("edge_processors"):
        found.add("npu")
    return frozenset(found)


def _driver(node: DeviceText) -> str:
    lines = node.texts.get("device/uevent", "").splitlines()
    return next((line.removeprefix(key) for key in _DRIVER for line in lines if line.startswith(key)), "")
