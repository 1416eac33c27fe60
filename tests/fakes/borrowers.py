"""A worker that connections are lent to, from both of its sides: what the daemon says to it, and what clients do."""

import mmap
import os
import socket
from array import array

import numpy as np

from edged.runtime.board import DaemonBoard
from edged.runtime.lending import FROM_BORROWER, Adopt, Amend, Board, Lease, Returned, Revoke
from edged.runtime.wire import decode, encode
from edged.tensor_socket import Infer, Placed, Result, Room, decode_to_client
from edged.tensor_socket import encode as encode_message
from tests.fakes.fast_paths import make_memory
from tests.fakes.near_ends import Channels
from tests.fakes.patience import PATIENCE_S

MEMORY_BYTES = 1 << 20
HALF = MEMORY_BYTES // 2
LEASE = Lease(deadline_s=PATIENCE_S)


class Loan:
    """A connection, from its client's end; inputs lie in the first half of its memory, outputs in the second."""

    def __init__(self, number: int, slot: int) -> None:
        self.number = number
        self.slot = slot
        self.descriptor = make_memory(MEMORY_BYTES)
        self.memory = mmap.mmap(self.descriptor, MEMORY_BYTES)
        self.connection, self.lent = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(PATIENCE_S)

    def place(self, array_: np.ndarray, *, index: int = 0, offset: int = 0) -> Placed:
        data = array_.tobytes()
        self.memory[offset : offset + len(data)] = data
        return Placed(index=index, shape=array_.shape, offset=offset, size=len(data))

    def send(
        self, *inputs: np.ndarray, request: int = 1, rooms: tuple[Room, ...] | None = None, **fields: object
    ) -> None:
        placed = [self.place(item, index=i, offset=65536 * i) for i, item in enumerate(inputs)]
        outputs = rooms or (Room(index=0, offset=HALF, capacity=65536),)
        self.say(encode_message(Infer(**{"request": request, "inputs": tuple(placed), "outputs": outputs} | fields)))

    def say(self, datagram: bytes) -> None:
        self.connection.send(datagram)

    def receive(self):
        """The next message to the client; None when the connection is closed."""
        datagram = self.connection.recv(1 << 17)
        return decode_to_client(datagram) if datagram else None

    def ask(self, *inputs: np.ndarray, **fields: object):
        """Ask, and return the first output as FP32, or the error."""
        self.send(*inputs, **fields)
        return self.read(self.receive())

    def read(self, answer):
        if not isinstance(answer, Result):
            return answer
        item = answer.outputs[0]
        return np.frombuffer(bytes(self.memory[item.offset : item.offset + item.size]), np.float32).reshape(item.shape)

    def close(self) -> None:
        self.connection.close()
        self.lent.close()
        self.memory.close()
        os.close(self.descriptor)


class Lending:
    """The daemon's end of the channel for loans of a worker that is played or real."""

    def __init__(self, worker: Channels) -> None:
        self._channel = worker.loans
        self.board = DaemonBoard()
        self.loans: list[Loan] = []
        self.tell(Board(), self.board.descriptor)

    def tell(self, message, *descriptors: int) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        self._channel.sendmsg(encode(message), rights)

    def lend(self, *, lease: Lease = LEASE, uid: int = 1000, **changes: object) -> Loan:
        loan = Loan(len(self.loans) + 1, len(self.loans))
        self.loans.append(loan)
        self._adopt(loan, lease=lease, uid=uid, **changes)
        return loan

    def lend_again(self, loan: Loan) -> None:
        """Under another number, as ever."""
        loan.number += 100
        self._adopt(loan, lease=LEASE, uid=1000)

    def _adopt(self, loan: Loan, *, lease: Lease, uid: int, **changes: object) -> None:
        fields = {
            "connection": loan.number,
            "slot": loan.slot,
            "memory_bytes": MEMORY_BYTES,
            "uid": uid,
            "lease": lease,
        }
        message = Adopt(**fields | {"is_background": False, "wants_scales": False} | changes)
        self.tell(message, loan.lent.fileno(), loan.descriptor)

    def amend(self, loan: Loan, lease: Lease) -> None:
        self.tell(Amend(connection=loan.number, lease=lease))

    def revoke(self, loan: Loan, *, is_urgent: bool = False) -> None:
        self.tell(Revoke(connection=loan.number, is_urgent=is_urgent))

    def settle(self) -> None:
        """Wait until everything that was told is done."""
        other = self.lend()
        self.revoke(other)
        assert self.returned() == (other.number, "revoked")

    def returned(self) -> tuple[int, str]:
        """Wait for the next connection that comes back; its number, and why."""
        message = decode(FROM_BORROWER, self._channel.recv(4096))[0]
        assert isinstance(message, Returned)
        return message.connection, message.why

    def close(self) -> None:
        for loan in self.loans:
            loan.close()
        self.board.close()
