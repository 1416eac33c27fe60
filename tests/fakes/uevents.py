"""Real events of the kernel, which root may ask for: what is written to a device's ``uevent`` is sent as if it had happened.

Everybody on the machine hears of it, and so does a test that another process runs at that time.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def only_listener() -> Iterator[None]:
    """Wait until no other process tests what the kernel says, and keep them from it."""
    lock = os.open(CPU.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
