"""What an app and edged say to each other on one connection of the tensor socket: one request at a time, and its answer."""

import itertools
import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from edged.client.unreachable import unreachable
from edged.errors import DaemonUnreachableError, DeadlineError, EdgedError, TensorError
from edged.problems import error_from
from edged.tensor_socket import (
    Error,
    Infer,
    Notice,
    Open,
    Opened,
    Placed,
    ProtocolError,
    Result,
    decode_to_client,
    encode,
)
from edged.tensor_socket.messages import FULL_PERMILLE, MAX_MESSAGE_BYTES, ToClient
from edged.tensor_socket.repeats import split_result

GRACE_S: Final = 1.0
"""Beyond its deadline, a request's answer may take so much longer to arrive: it says that the deadline passed."""
OPEN_WITHIN_S: Final = 60.0
_REQUEST_AT: Final = 8
_REQUEST: Final = struct.Struct("<Q")
_TIME: Final = struct.Struct("ll")


class Given(NamedTuple):
    """What an answer says."""

    outputs: Sequence[Placed]
    """Where they lie."""
    scale: float
    """Share of the full size at which the model's input was made; 1 where the app made it."""


class Conversation:
    """One connection.

    Args:
        path: The daemon's tensor socket.
        opening: The first message.
        memory: Descriptor of the memory to share; stays the caller's.

    Raises:
        EdgedError: What the daemon says, or what is wrong with what it says.
        DaemonUnreachableError: Nobody answers at the socket.
        NotPermittedError: This user may not open it.
    """

    def __init__(self, path: str, opening: Open, memory: int) -> None:
        self.is_closed = False
        self._path = path
        self._numbers = itertools.count(1)
        self._receive_timeout_s = 0.0
        self._last: tuple[Infer, bytearray] | None = None
        self._last_given: tuple[bytes, Given] = (b"", Given((), 1.0))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.connect(path)
            socket.send_fds(self._socket, [encode(opening)], [memory])
            self.opened: Final = self._opened()
            """What the model takes and gives."""
        except OSError as exc:
            self.close()
            raise unreachable(path, exc) from exc
        except BaseException:
            self.close()
            raise
        self.version = self.opened.version
        """Of the model; follows when it is replaced."""
        self.variant = self.opened.variant
        self.wanted_scale = _share(self.opened.wanted_permille)
        """Share of the full size that the device's policy asks for; follows, too."""

    def close(self) -> None:
        """Close the connection; a request under way is stopped."""
        self.is_closed = True
        self._socket.close()

    def ask(self, message: Infer, timeout_s: float) -> Given:
        """Send a request, under the next number, and wait for the answer.

        Args:
            message: What to send.
            timeout_s: How long the request may take, in seconds.

        Raises:
            TensorError: The request cannot be said.
            EdgedError: What the daemon says.
            DeadlineError: It says nothing in time.
            DaemonUnreachableError: It closed the connection.
        """
        try:
            return self._answer_to(self._send(message), timeout_s + GRACE_S)
        except OSError as exc:
            self.close()
            raise unreachable(self._path, exc) from exc
        except EdgedError:
            raise
        except BaseException:
            # The app is interrupted: the answer to this request would come before that to the next, and into the same memory.
            self.close()
            raise

    def _opened(self) -> Opened:
        match self._decode(self._receive(OPEN_WITHIN_S + GRACE_S)):
            case Opened() as opened:
                return opened
            case Error() as error:
                raise _error(error)
            case _:
                raise self._nonsense()

    def _send(self, message: Infer) -> int:
        # Most requests are the one before with other bytes in the memory: then only the number is written anew.
        if self._last is None or self._last[0] != message:
            try:
                self._last = (message, bytearray(encode(message)))
            except ProtocolError as exc:
                raise TensorError(f"The request cannot be said: {exc}.") from exc
        datagram = self._last[1]
        number = next(self._numbers)
        _REQUEST.pack_into(datagram, _REQUEST_AT, number)
        self._socket.send(datagram)
        return number

    def _answer_to(self, number: int, timeout_s: float) -> Given:
        while True:
            datagram = self._receive(timeout_s)
            split = split_result(datagram)
            if split is not None and split == (number, self._last_given[0]):
                # Most answers have their outputs where those of the one before were.
                return self._last_given[1]
            match self._decode(datagram):
                case Notice() as notice:
                    self.version, self.variant = notice.version, notice.variant
                    self.wanted_scale = _share(notice.wanted_permille)
                case Error(request=request) as error if request in {0, number}:
                    raise _error(error)
                case Error():
                    # About a request that was answered: its worker was lost in the moment of its answer, which nobody could know.
                    continue
                case Result(request=request) as result if request == number and split is not None:
                    given = Given(result.outputs, _share(result.scale_permille))
                    self._last_given = split[1], given
                    return given
                case _:
                    raise self._nonsense()

    def _receive(self, timeout_s: float) -> bytes:
        # Set only when it changes: a socket of Python's with a timeout asks the kernel twice for each datagram.
        if timeout_s != self._receive_timeout_s:
            seconds, rest = divmod(timeout_s, 1)
            self._socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIME.pack(int(seconds), max(1, int(rest * 1e6)))
            )
            self._receive_timeout_s = timeout_s
        try:
            datagram = self._socket.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError as exc:
            self.close()
            raise DeadlineError(f"No answer at {self._path} in time.", hint="Allow more time, or ask less.") from exc
        if not datagram:
            self.close()
            raise DaemonUnreachableError(f"The daemon closed the connection at {self._path}.")
        return datagram

    def _decode(self, datagram: bytes) -> ToClient:
        try:
            message = decode_to_client(datagram)
        except ProtocolError as exc:
            raise self._nonsense(f": {exc}") from exc
        if isinstance(message, Error) and message.is_closing:
            self.close()
        return message

    def _nonsense(self, how: str = "") -> EdgedError:
        self.close()
        return EdgedError(f"What answers at {self._path} does not speak as edged does{how}.")


def _share(permille: int) -> float:
    return permille / FULL_PERMILLE if permille else 1.0


def _error(message: Error) -> EdgedError:
    facts = {"needed_bytes": message.needed_bytes} if message.needed_bytes else {}
    retry_after_s = -(-message.retry_after_ms // 1000) if message.retry_after_ms else None
    return error_from(
        message.status,
        message.code,
        message.message,
        hint=message.hint,
        facts=facts,
        retry_after_s=retry_after_s,
    )
