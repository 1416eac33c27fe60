"""Real events of the kernel, which root may ask for: what is written to a device's ``uevent`` is sent as if it had happened."""

import os
from pathlib import Path
from typing import Final

import pytest

CPU: Final = Path("/sys/devices/system/cpu/cpu0/uevent")
LOOPBACK: Final = Path("/sys/class/net/lo/uevent")


def send_uevent(path: Path) -> None:
    """Have the kernel say that a device has changed; skips the test where that may not be."""
    if os.geteuid() != 0:
        pytest.skip("only root may have the kernel send an event")
    if not os.access(path, os.W_OK):
        pytest.skip("/sys is read-only here")
    path.write_text("change")
