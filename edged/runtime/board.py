"""What a worker does with the connections that are lent to it, written down where the daemon can read it at any time.

The board is an unnamed file on a tmpfs that the daemon makes. It has a slot for each connection, with the header of the request under
way (docs/tensor-socket.md) and two moments, and behind them a row of counts (``edged.telemetry.row``). The kernel itself writes the
header, as the first part of the message that it hands to the worker: so whatever ends a worker, the request that ended with it can be
answered. The worker maps the board; the daemon never does, because a worker could cut the file short under it, and believes none of it
beyond what a worker may decide anyway: what it is doing.
"""

import mmap
import os
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edged.errors import UnavailableError
from edged.runtime.lending import SLOTS
from edged.runtime.memory import DIRECTORY, allocate
from edged.telemetry.row import NUMBERS, Row
from edged.tensor_socket.layout import HEADER, MessageType

HEADER_BYTES: Final = HEADER.size
SLOT_BYTES: Final = 32
SIZE: Final = SLOTS * SLOT_BYTES + NUMBERS * 8

_TIMES: Final = struct.Struct("<QQ")
_SLOT: Final = struct.Struct("<IHHQQQ")
_NUMBERS: Final = struct.Struct(f"<{NUMBERS}Q")
_EMPTY: Final = bytes(SLOT_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A request that a worker says it has."""

    request: int
    """The number its client gave it."""
    began_ns: int
    """Monotonic nanoseconds when it was read; 0 when the worker had no time to write that."""
    deadline_ns: int
    """Likewise."""


class Slot:
    """A connection's part of the board, in the worker."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self.header: Final = view[:HEADER_BYTES]
        """Where the next message's header is received."""

    def begin(self, *, began_ns: int, deadline_ns: int) -> None:
        """Note when the request whose header was received began, and when it has to end."""
        _TIMES.pack_into(self._view, HEADER_BYTES, began_ns, deadline_ns)

    def end(self) -> None:
        """Note that no request is under way."""
        self._view[:] = _EMPTY


class WorkerBoard:
    """The board as the worker has it. Threads may use it at the same time.

    Args:
        descriptor: The file; the caller closes it.

    Raises:
        OSError: The system refused to map it.
    """

    def __init__(self, descriptor: int) -> None:
        self._view = memoryview(mmap.mmap(descriptor, SIZE))
        self._row = Row(self._view[SLOTS * SLOT_BYTES :].cast("Q"))
        self._lock = threading.Lock()

    def slot(self, number: int) -> Slot:
        """Return a slot, empty."""
        slot = Slot(self._view[number * SLOT_BYTES : (number + 1) * SLOT_BYTES])
        slot.end()
        return slot

    def finished(self, code: str, *, total_ns: int, queue_ns: int, run_ns: int) -> None:
        """Count the end of a request; see ``Row.finished``."""
        with self._lock:
            self._row.finished(code, total_ns=total_ns, queue_ns=queue_ns, run_ns=run_ns)

    def rejected(self) -> None:
        """Count a request that was refused for its caller's rate."""
        with self._lock:
            self._row.rejected()


class DaemonBoard:
    """The board as the daemon has it; closed by whoever made it.

    Raises:
        UnavailableError: There is no memory for it.
    """

    def __init__(self, directory: str = DIRECTORY) -> None:
        try:
            self.descriptor: Final = allocate(directory, SIZE)
        except OSError as exc:
            raise UnavailableError(f"No memory for what connections do: {exc.strerror}.") from exc

    def under_way(self) -> dict[int, UnderWay]:
        """Return what the worker says is under way, by slot; nothing when it has cut the file short."""
        data = os.pread(self.descriptor, SLOTS * SLOT_BYTES, 0)
        found = {}
        for slot, (_, kind, _, request, began_ns, deadline_ns) in enumerate(
            _SLOT.iter_unpack(data if len(data) == SLOTS * SLOT_BYTES else b"")
        ):
            if kind == MessageType.INFER and request:
                found[slot] = UnderWay(request=request, began_ns=began_ns, deadline_ns=deadline_ns)
        return found

    def counts(self) -> Sequence[int]:
        """Return the row of counts; zeros when the worker has cut the file short."""
        data = os.pread(self.descriptor, _NUMBERS.size, SLOTS * SLOT_BYTES)
        return _NUMBERS.unpack(data) if len(data) == _NUMBERS.size else [0] * NUMBERS

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)
