"""A relay in front of a host that counts what passes, and how many questions were asked."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_BLOCK_BYTES = 1 << 16
_QUESTION = b"GET "


@dataclass(slots=True, kw_only=True)
class Passed:
    """What has passed so far, both ways."""

    sent_bytes: int = 0
    received_bytes: int = 0
    questions: int = 0
    connections: int = 0


@contextmanager
def relay(port: int) -> Iterator[tuple[int, Passed]]:
    """Pass connections on to a port of this machine; yields the relay's own port and its counts."""
    passed, lock = Passed(), threading.Lock()
    open_sockets: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket, *, is_question: bool) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK_BYTES):
                with lock:
                    if is_question:
                        passed.sent_bytes += len(block)
                        passed.questions += block.count(_QUESTION)
                    else:
                        passed.received_bytes += len(block)
                target.sendall(block)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                open_sockets.extend((near, far))
                passed.connections += 1
                threading.Thread(target=pump, args=(near, far), kwargs={"is_question": True}, daemon=True).start()
                threading.Thread(target=pump, args=(far, near), kwargs={"is_question": False}, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], passed
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for sock in open_sockets:
                sock.close()
