"""Whether memory that a client shares can be lent to a worker.

A worker maps it and reads and writes it without asking again, so nothing that the client does later may end the worker: memory behind the
end of a file that was cut short does (SIGBUS, mmap(2)), and so does a huge page that is not there when it is touched.
"""

import ctypes
import fcntl
import os
from typing import Final

from edged.errors import BodyTooLargeError, RequestError

_TMPFS_MAGIC: Final = 0x01021994
_STATFS_BYTES: Final = 256
"""More than ``struct statfs`` has on any architecture; its first field is the type, a long."""
_UNWRITABLE: Final = fcntl.F_SEAL_WRITE | 0x10
"""Also F_SEAL_FUTURE_WRITE, which ``fcntl`` does not have."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def check_memory(descriptor: int, *, most_bytes: int) -> int:
    """Check what a client passed as its memory.

    Args:
        descriptor: Of any file at all.
        most_bytes: That it may have.

    Returns:
        Its size in bytes.

    Raises:
        RequestError: It is not a memfd that can be read and written and not be cut short.
        BodyTooLargeError: It is too large.
    """
    hint = "Make it with memfd_create(2), and seal it with F_SEAL_SHRINK; docs/tensor-socket.md has an example."
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as exc:
        raise RequestError("The descriptor is no memory: it cannot be sealed.", hint=hint) from exc
    if not seals & fcntl.F_SEAL_SHRINK:
        raise RequestError("The memory can be cut short: it is not sealed with F_SEAL_SHRINK.", hint=hint)
    if seals & _UNWRITABLE or fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDWR:
        raise RequestError("The memory cannot be written: answers have no place in it.", hint=hint)
    if _filesystem_of(descriptor) != _TMPFS_MAGIC:
        raise RequestError("The memory consists of huge pages, which may be missing when they are needed.", hint=hint)
    size = os.fstat(descriptor).st_size
    if not size:
        raise RequestError("The memory is empty.", hint=hint)
    if size > most_bytes:
        raise BodyTooLargeError(
            f"The memory has {size} bytes; at most {most_bytes} can be shared.",
            hint="Share less, or have serve.max_body_bytes raised.",
            limit="serve.max_body_bytes",
        )
    return size


def _filesystem_of(descriptor: int) -> int:
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    if _LIBC.fstatfs(descriptor, buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return ctypes.c_long.from_buffer(buffer).value
