"""Notices at once when a device comes, goes or changes: the kernel's own messages (NETLINK_KOBJECT_UEVENT, lib/kobject_uevent.c).

A message only wakes somebody; what has changed is read from sysfs afterwards. Those of udevd are not wanted, and do not reach a service
with a network namespace of its own; the kernel's do. Nobody else may pretend that a supply was unplugged: only the kernel sends from port
0 (netlink(7)), and it has no process number.

Read from a socket here and not by pyudev: that takes 2.0 MB of memory (measured on Python 3.11), and finds its library by running a
program, which the unit may not.
"""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

LOG = logging.getLogger(__name__)

SUBSYSTEMS: Final = frozenset(
    {"power_supply", "thermal", "cpu", "drm", "accel", "apex", "hwmon", "devfreq", "nvidia", "powercap"}
)
"""Whose events mean that a sensor or an accelerator may be another."""
_NETLINK_KOBJECT_UEVENT: Final = 15
_KERNEL: Final = (0, 1)
"""Port of the sender and group: the kernel, to everybody."""
_CREDENTIALS: Final = struct.Struct("=iII")
"""Process, user and group of the sender."""
_BUFFER_BYTES: Final = 16 << 10
"""The kernel's messages have at most 2048 bytes of properties (``UEVENT_BUFFER_SIZE``) and a header."""
_AT_ONCE: Final = 64
"""Messages that are taken in one go of the event loop."""


class Uevents:
    """Listens on the running loop, while it is entered. Where it cannot, it says so once, and nothing wakes anybody.

    Args:
        woken: Called after something happened to a device of ``SUBSYSTEMS``, or messages were lost.
    """

    def __init__(self, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        try:
            self._socket = _open()
        except OSError as exc:
            LOG.warning(
                "That a device is plugged or unplugged is noticed by the next look at sensors, not at once: %s", exc
            )
        else:
            self._loop.add_reader(self._socket, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    @property
    def is_listening(self) -> bool:
        """Tell whether changes are noticed at once."""
        return self._socket is not None

    def _read(self) -> None:
        assert self._socket is not None  # noqa: S101 - narrows the type; there is no reader without a socket
        is_relevant = False
        for _ in range(_AT_ONCE):
            try:
                data, ancillary, _, sender = self._socket.recvmsg(_BUFFER_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: more happened than fits, and what it was is not known
                is_relevant = True
                continue
            is_relevant |= is_from_kernel(sender, ancillary) and subsystem_of(data) in SUBSYSTEMS
        if is_relevant:
            self._woken()


def is_from_kernel(sender: object, ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Tell whether a message was sent by the kernel itself."""
    credentials = [
        data for level, kind, data in ancillary if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
    ]
    if sender != _KERNEL or len(credentials) != 1 or len(credentials[0]) != _CREDENTIALS.size:
        return False
    process: int = _CREDENTIALS.unpack(credentials[0])[0]
    return process == 0


def subsystem_of(message: bytes) -> str:
    """Return what kind of device a message is about; empty where it does not say.

    Args:
        message: ``ACTION@DEVPATH``, then ``KEY=VALUE`` for each property, each ended by a zero byte.
    """
    for field in message.split(b"\0"):
        if field.startswith(b"SUBSYSTEM="):
            return os.fsdecode(field.removeprefix(b"SUBSYSTEM="))
    return ""


def _open() -> socket.socket:
    """Return a socket that gets the kernel's messages.

    Raises:
        OSError: The kernel or a sandbox refuses.
    """
    opened = socket.socket(
        socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, _NETLINK_KOBJECT_UEVENT
    )
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        opened.bind(_KERNEL)
    except OSError:
        opened.close()
        raise
    return opened
