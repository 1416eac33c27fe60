"""A server on a Unix socket that plays a script: literal answers, and what it was asked."""

import array
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

Answer = Callable[[bytes, Sequence[int]], bytes | Sequence[bytes] | None]
"""From what was received, and the descriptors that came along, to what is sent, in one message or several; None hangs up."""


class ScriptedServer:
    """Answers each connection in turn, in a thread; a context manager.

    Args:
        path: Where to listen.
        scripts: For each connection, the answers to its messages in order; it is closed after the last.
        kind: SOCK_STREAM (a message is whatever one HTTP request brings) or SOCK_SEQPACKET.
    """

    def __init__(self, path: Path, *scripts: Sequence[Answer], kind: int = socket.SOCK_STREAM) -> None:
        self.asked: list[bytes] = []
        self.descriptors: list[int] = []
        self._scripts = scripts
        self._is_stream = kind == socket.SOCK_STREAM
        self._listener = socket.socket(socket.AF_UNIX, kind)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(20)
        self._thread = threading.Thread(target=self._play)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._listener.close()
        self._thread.join(30)
        assert not self._thread.is_alive()
        if error is None and self._error is not None:
            raise self._error

    def _play(self) -> None:
        try:
            for script in self._scripts:
                connection, _ = self._listener.accept()
                connection.settimeout(20)
                with connection:
                    for answer in script:
                        message, descriptors = self._receive(connection)
                        self.asked.append(message)
                        self.descriptors += descriptors
                        said = answer(message, descriptors)
                        if said is None:
                            break
                        for part in [said] if isinstance(said, bytes) else said:
                            connection.sendall(part)
        except OSError as exc:
            self._error = exc
            self._listener.close()

    def _receive(self, connection: socket.socket) -> tuple[bytes, Sequence[int]]:
        descriptors = array.array("i")
        data, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(64))
        for level, type_, content in ancillary:
            assert (level, type_) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            descriptors.frombytes(content[: len(content) // 4 * 4])
        while self._is_stream and data and not _is_whole(data):
            data += connection.recv(1 << 20)
        return data, list(descriptors)


def _is_whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return len(body) >= int(lengths[0] if lengths else 0)
