"""Take files, TCP and other processes away from this process with Landlock (landlock(7)), for good and without privileges.

A thread says which rights it will no longer have unless a rule grants them; here it names all that the kernel knows and grants none. It
and every thread and process that it starts afterwards are bound by that. Threads that run already are not, so it is called before there
are any.

Not covered, because Landlock governs the opening of a thing and not its use: what is open already stays usable, and a path's attributes
can still be asked for (stat(2)) and changed where the user may. The filter on system calls (``edged.worker.seccomp``) closes these.
"""

import ctypes
import os
from dataclasses import dataclass
from typing import Final

# The same numbers on every architecture that edged runs on, as for all system calls from 424 on.
_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
_VERSION_FLAG: Final = 1 << 0
# Loaded with the module: whoever calls in here may be out of memory or already forbidden to open files.
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long


class _RulesetAttributes(ctypes.Structure):
    """``struct landlock_ruleset_attr``; a kernel that knows a shorter one takes this as long as the rest is zero."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What is taken away; bits of linux/landlock.h."""

    fs: int
    """``LANDLOCK_ACCESS_FS_*``."""
    net: int
    """``LANDLOCK_ACCESS_NET_*``."""
    scoped: int
    """``LANDLOCK_SCOPE_*``: ways to reach processes that are not bound by the same ruleset."""


def rights_of(abi: int) -> Rights:
    """Return all rights of a version of the interface; later versions than are known here are taken for the last known one.

    A ruleset that names a right that the kernel does not know is refused as a whole, so the version decides.
    """
    # Bits 0 to 12: execute, write, read, list, remove (2), make (7).
    fs = (1 << 13) - 1
    for since, bit in (
        (2, 13),  # link or rename into another directory
        (3, 14),  # truncate
        (5, 15),  # ioctl on devices
        (9, 16),  # find a Unix socket by its path
    ):
        if abi >= since:
            fs |= 1 << bit
    return Rights(
        fs=fs,
        net=0b11 if abi >= 4 else 0,  # bind and connect TCP
        scoped=0b11 if abi >= 6 else 0,  # abstract Unix sockets, signals
    )


def read_abi() -> int:
    """Ask the kernel for its version of the interface.

    Raises:
        OSError: ENOSYS: it is built without Landlock. EOPNOTSUPP: Landlock was not switched on at boot. EPERM: a filter forbids it.
    """
    return _call(_CREATE_RULESET, None, 0, _VERSION_FLAG)


def make_ruleset(rights: Rights) -> int:
    """Return a descriptor of a ruleset that grants none of the rights.

    Raises:
        OSError: As ``read_abi``; EINVAL: the kernel does not know one of the rights.
    """
    attributes = _RulesetAttributes(rights.fs, rights.net, rights.scoped)
    return _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)


def forbid_everything() -> None:
    """Give up every right that the kernel can take away. ``PR_SET_NO_NEW_PRIVS`` must be set.

    Raises:
        OSError: As ``read_abi``, and EPERM without ``PR_SET_NO_NEW_PRIVS``; E2BIG: there are 16 rulesets on top of each other already.
    """
    ruleset = make_ruleset(rights_of(read_abi()))
    try:
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _call(number: int, *arguments: object) -> int:
    # Without its type a Python integer would be passed as a C int, whose upper half the kernel might not find empty.
    typed = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(number), *typed))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
