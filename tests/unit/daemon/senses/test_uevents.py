"""The kernel's own messages: a real one where this may be asked for, and who is believed."""

import asyncio
import errno
import socket
import struct

import pytest

from edged.daemon.senses import uevents as module
from edged.daemon.senses.uevents import SUBSYSTEMS, Uevents, is_from_kernel, subsystem_of
from tests.fakes.patience import PATIENCE_S
from tests.fakes.uevents import CPU, LOOPBACK

KERNEL, SOMEBODY = (0, 1), (4711, 1)


def credentials(pid):
    return [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("=iII", pid, 0, 0))]


async def test_a_change_that_the_kernel_tells_of_wakes(uevent):
    woken = asyncio.Event()
    with Uevents(woken.set) as uevents:
        assert uevents.is_listening
        uevent(CPU)
        async with asyncio.timeout(PATIENCE_S):
            await woken.wait()
    assert not uevents.is_listening


async def test_other_devices_wake_nobody(uevent):
    """The message about the CPU comes after that about the network, so that one has been read when this one wakes."""
    woken = asyncio.Queue()
    with Uevents(lambda: woken.put_nowait(None)):
        uevent(LOOPBACK)
        uevent(LOOPBACK)
        uevent(CPU)
        async with asyncio.timeout(PATIENCE_S):
            await woken.get()
    assert woken.empty()


async def test_a_message_of_somebody_else_wakes_nobody(uevent):
    """Root may send to the same group, as udevd does; the kernel's port is not its."""
    woken = asyncio.Queue()
    with (
        socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 15) as forger,
        Uevents(lambda: woken.put_nowait(None)),
    ):
        forger.sendto(b"change@/devices/x\0ACTION=change\0SUBSYSTEM=power_supply\0", KERNEL)
        uevent(LOOPBACK)
        for _ in range(3):
            await asyncio.sleep(0)
        assert woken.empty()
        uevent(CPU)
        async with asyncio.timeout(PATIENCE_S):
            await woken.get()
    assert woken.empty()


class Overrun:
    """A socket for which more happened than it had room for: that is all it says."""

    def __init__(self):
        self._told, self._teller = socket.socketpair()
        self._told.settimeout(0)
        self._teller.send(b"!")

    def fileno(self):
        return self._told.fileno()

    def recvmsg(self, *_sizes):
        self._told.recv(1)
        raise OSError(errno.ENOBUFS, "No buffer space available")

    def close(self):
        self._told.close()
        self._teller.close()


async def test_lost_messages_wake_because_nobody_knows_what_they_were_about(monkeypatch):
    monkeypatch.setattr(module, "_open", Overrun)
    woken = asyncio.Event()
    with Uevents(woken.set):
        async with asyncio.timeout(PATIENCE_S):
            await woken.wait()


async def test_where_the_kernel_refuses_that_is_said_once(monkeypatch, caplog):
    def refuse(*_args):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(socket, "socket", refuse)
    with Uevents(lambda: None) as uevents:
        assert not uevents.is_listening
    assert "noticed by the next look" in caplog.text


@pytest.mark.parametrize(
    ("sender", "ancillary", "is_believed"),
    [
        (KERNEL, credentials(0), True),
        (SOMEBODY, credentials(0), False),
        ((0, 0), credentials(0), False),
        (KERNEL, credentials(1), False),
        (KERNEL, [], False),
        (KERNEL, credentials(0) * 2, False),
        (KERNEL, [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, b"\0")], False),
        (KERNEL, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=iII", 0, 0, 0))], False),
    ],
)
def test_only_the_kernel_is_believed(sender, ancillary, is_believed):
    assert is_from_kernel(sender, ancillary) is is_believed


@pytest.mark.parametrize(
    ("message", "subsystem"),
    [
        (b"change@/devices/a\0ACTION=change\0SUBSYSTEM=power_supply\0SEQNUM=1\0", "power_supply"),
        (b"add@/devices/a\0XSUBSYSTEM=cpu\0", ""),
        (b"libudev\0\xfe\xed\xca\xfe", ""),
        (b"", ""),
        (b"x\0SUBSYSTEM=\xff\0", "\udcff"),
    ],
)
def test_the_subsystem_is_read_from_a_message(message, subsystem):
    assert subsystem_of(message) == subsystem
    assert (subsystem in SUBSYSTEMS) == (subsystem == "power_supply")
