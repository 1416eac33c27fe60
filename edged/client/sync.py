"""The blocking client."""

import json
import socket
import time
from collections.abc import Mapping
from collections.abc import Sequence as Many
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from numpy.typing import ArrayLike

from edged.client.call import Call, Result, to_array
from edged.client.http import HEAD_END, MAX_HEAD_BYTES, Head, check, read_head, read_result, write_get, write_infer
from edged.client.session import Session
from edged.client.unreachable import unreachable
from edged.errors import DaemonUnreachableError, DeadlineError, EdgedError, TensorError, UnavailableError

APP_SOCKET: Final = "/run/edged/edged.sock"
TENSOR_SOCKET: Final = "tensor.sock"
LARGE_BYTES: Final = 64 << 10
"""From this size on, sharing memory is faster than sending."""
GRACE_S: Final = 1.0
"""Beyond its deadline, a request's answer may take so much longer to arrive: it says that the deadline passed."""
TIMEOUT_S: Final = 60.0


class Client:
    """Asks models over edged's sockets. Not for several threads at once: give each its own.

    A connection is made when it is needed, kept, and made again when the daemon has closed it in between.

    Args:
        path: The daemon's socket for apps.
        tensor_path: Its socket for shared memory, from the directory of the other one; None sends everything over that.
    """

    def __init__(self, path: str = APP_SOCKET, *, tensor_path: str | None = TENSOR_SOCKET) -> None:
        self.path: Final = path
        self._shares = tensor_path is not None
        # Another directory is another daemon, as that of ``edged dev``: never half of a conversation with each.
        self._tensor_path = str(Path(path).parent / (tensor_path or TENSOR_SOCKET))
        self._socket: socket.socket | None = None
        self._sessions: dict[tuple[str, str | None], Session] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the next request makes new ones."""
        self._hang_up()
        while self._sessions:
            self._sessions.popitem()[1].close()

    def infer(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike | bytes | str],
        *,
        version: str | None = None,
        outputs: Many[str] = (),
        timeout_s: float | None = None,
        priority: int = 0,
        is_background: bool = False,
        may_offload: bool = False,
        may_cache: bool = True,
    ) -> Result:
        """Ask a model once.

        Args:
            model: Its name.
            inputs: All of its inputs by name: arrays, or anything that numpy makes one of; ``bytes`` and ``str`` for BYTES.
            version: None asks whichever is active.
            outputs: Names wanted; empty means all.
            timeout_s: After which the answer is worth nothing.
            priority: 1 is the most urgent; 0 is no wish.
            is_background: Nobody waits for it: everything else goes first, and a policy may have it kept until it lets it run. Give it
                time for that (``timeout_s``).
            may_offload: The inputs may leave the device for the model's cloud endpoint. Whether they do is for the device's policy to say,
                and ``Result.is_offloaded`` tells.
            may_cache: The answer may be one that is known already, and this one may be given again. False where a model answers by chance.

        Raises:
            ModelUnknownError, TensorError, QuotaError, UnavailableError, DeadlineError, WorkerLostError and other ``EdgedError``: What
                the daemon says; ``QuotaError`` and ``UnavailableError`` have ``retry_after_s``.
            DaemonUnreachableError: Nobody answers at the socket.
            NotPermittedError: This user may not open it.
        """
        arrays = {name: to_array(name, value) for name, value in inputs.items()}
        call = Call(
            inputs=arrays,
            outputs=outputs,
            timeout_s=timeout_s,
            priority=priority,
            is_background=is_background,
            may_offload=may_offload,
            may_cache=may_cache,
        )
        return self.ask(model, call, version=version)

    def sequence(self, model: str, *, id: int | str | None = None, version: str | None = None) -> "Sequence":  # noqa: A002 - the protocol's word
        """Begin a sequence of requests to a model that keeps a state between them.

        Args:
            model: Its name.
            id: Chosen by the app, or else by chance.
            version: As for ``infer``.
        """
        return Sequence(self, model, time.monotonic_ns() if id is None else id, version)

    def open(
        self, model: str, *, memory_bytes: int, version: str | None = None, is_background: bool = False
    ) -> Session:
        """Share memory with a model's worker; the caller closes the session.

        Args:
            model: Its name.
            memory_bytes: For all inputs and outputs of a request.
            version: As for ``infer``.
            is_background: Nobody waits for the answers.

        Raises:
            EdgedError: As for ``infer``.
        """
        return Session(
            self._tensor_path, model, memory_bytes=memory_bytes, version=version, is_background=is_background
        )

    def ask(self, model: str, call: Call, *, version: str | None = None) -> Result:
        """Ask with everything a call can say; see ``infer``."""
        if self._shares and _may_share(call):
            # An older daemon, or one without that socket; and in place of a model without a worker a constant may answer, over HTTP.
            with suppress(DaemonUnreachableError, UnavailableError):
                return self._ask_shared(model, version, call)
        # A state must not be moved on twice, so what belongs to a sequence is never sent again.
        head, body = self._exchange(
            write_infer(model, version, call), timeout_s=call.timeout_s, may_repeat=not call.sequence
        )
        return read_result(head, body)

    def models(self) -> Many[Mapping[str, Any]]:
        """Return what models there are, as ``/edged/v1/models`` describes them."""
        models: Many[Mapping[str, Any]] = self.get("/edged/v1/models")["models"]
        return models

    def flags(self) -> Mapping[str, bool | int | float | str]:
        """Return the fleet's feature flags with their values on this device, by name.

        An app has a default for each flag it knows: one that is not here is not in force.
        """
        flags: Mapping[str, bool | int | float | str] = self.get("/edged/v1/flags")["flags"]
        return flags

    def get(self, path: str) -> Any:
        """Read any of the daemon's documents.

        Raises:
            EdgedError: As for ``infer``.
        """
        head, body = self._exchange([write_get(path)], timeout_s=None, may_repeat=True)
        check(head, body)
        return json.loads(body)

    def _ask_shared(self, model: str, version: str | None, call: Call, *, needed_bytes: int = 0) -> Result:
        session = self._session_for(model, version, call, needed_bytes)
        try:
            return session.ask(call)
        except TensorError as exc:
            # An output was larger than expected: asked again with room for it, unless that would move a state on twice.
            more = exc.facts.get("needed_bytes")
            if not isinstance(more, int) or needed_bytes or call.sequence:
                raise
        return self._ask_shared(model, version, call, needed_bytes=Session.memory_for(call) + more)

    def _session_for(self, model: str, version: str | None, call: Call, needed_bytes: int) -> Session:
        session = self._sessions.get((model, version))
        if session is not None and (session.is_closed or needed_bytes or not session.has_room_for(call)):
            session.close()
            session = None
        if session is None:
            memory_bytes = max(needed_bytes, Session.memory_for(call))
            session = self._sessions[model, version] = self.open(model, memory_bytes=memory_bytes, version=version)
        return session

    def _exchange(
        self, parts: Many[bytes | memoryview], *, timeout_s: float | None, may_repeat: bool
    ) -> tuple[Head, bytes]:
        end_s = time.monotonic() + (TIMEOUT_S if timeout_s is None else timeout_s + GRACE_S)
        is_new = self._socket is None
        try:
            return self._exchange_once(parts, end_s)
        except TimeoutError as exc:
            self._hang_up()
            raise DeadlineError(f"No answer at {self.path} in time.", hint="Allow more time, or ask less.") from exc
        except (ConnectionError, EOFError) as exc:
            # The daemon closes idle connections, and all of them when it restarts; a new one tells which it was.
            self._hang_up()
            if is_new or not may_repeat:
                raise unreachable(self.path, exc) from exc
        except OSError as exc:
            self._hang_up()
            raise unreachable(self.path, exc) from exc
        except BaseException:
            # Also when the app is interrupted: what comes later on this connection would be the answer to this request.
            self._hang_up()
            raise
        return self._exchange(parts, timeout_s=max(0.0, end_s - time.monotonic() - GRACE_S), may_repeat=False)

    def _exchange_once(self, parts: Many[bytes | memoryview], end_s: float) -> tuple[Head, bytes]:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(max(0.001, end_s - time.monotonic()))
            self._socket.connect(self.path)
        sock = self._socket
        sock.settimeout(max(0.001, end_s - time.monotonic()))
        with suppress(BrokenPipeError):  # a daemon that refuses a body stops reading it; why is in its answer
            _send_all(sock, parts)
        received = bytearray()
        while (end := received.find(HEAD_END)) < 0:
            if len(received) > MAX_HEAD_BYTES:
                raise EdgedError(f"What answers at {self.path} does not speak HTTP.")
            received += _receive(sock, 65536)
        head = read_head(bytes(received[:end]))
        body = bytearray(head.content_length)
        start = received[end + len(HEAD_END) :]
        body[: len(start)] = start
        view = memoryview(body)[len(start) :]
        while view:
            if not (count := sock.recv_into(view)):
                raise EOFError("the daemon closed the connection within its answer")
            view = view[count:]
        if head.is_last:
            self._hang_up()
        return head, bytes(body)

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Sequence:
    """Requests of which each begins where the one before ended, because edged keeps the model's state; a context manager.

    The state is dropped when the model is replaced or was not asked for a while: ``SequenceError`` says so, and ``restart`` begins anew.
    """

    def __init__(self, client: Client, model: str, id: int | str, version: str | None) -> None:  # noqa: A002 - as above
        self._client = client
        self._model = model
        self._id = id
        self._version = version
        self._is_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to do: what is not continued is forgotten; ``infer(..., is_end=True)`` says so at once."""

    def restart(self) -> None:
        """Begin anew with the next request."""
        self._is_begun = False

    def infer(
        self,
        inputs: Mapping[str, ArrayLike | bytes | str],
        *,
        outputs: Many[str] = (),
        timeout_s: float | None = None,
        is_end: bool = False,
    ) -> Result:
        """Ask the next of the sequence; as ``Client.infer``, but without the inputs that are states.

        Raises:
            SequenceError: The state is gone.
            EdgedError: As for ``Client.infer``.
        """
        call = Call(
            inputs={name: to_array(name, value) for name, value in inputs.items()},
            outputs=outputs,
            timeout_s=timeout_s,
            sequence=self._id,
            is_start=not self._is_begun,
            is_end=is_end,
        )
        result = self._client.ask(self._model, call, version=self._version)
        self._is_begun = not is_end
        return result


def _may_share(call: Call) -> bool:
    """Tell whether a call gains from shared memory, where nothing is kept for later or leaves the device, and sequences have numbers."""
    is_sayable = not (call.is_background or call.may_offload or isinstance(call.sequence, str))
    return call.size_bytes >= LARGE_BYTES and is_sayable


def _send_all(sock: socket.socket, parts: Many[bytes | memoryview]) -> None:
    # One system call for a small request; sendmsg may send less than all of a large one.
    sent = sock.sendmsg(parts)
    for part in parts:
        if sent < len(part):
            sock.sendall(memoryview(part)[sent:])
        sent = max(0, sent - len(part))


def _receive(sock: socket.socket, most: int) -> bytes:
    data = sock.recv(most)
    if not data:
        raise EOFError("the daemon closed the connection")
    return data
