"""An endpoint outside of the device: HTTPS on this machine, which answers as a test says."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

HOST = "models.test"

Script = Callable[["Asked"], bytes | Sequence[bytes] | None]
"""From what was asked to what is sent, in one piece or several; None says nothing and waits for the other end to leave."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    head: str
    body: bytes

    @property
    def fields(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def inputs(self) -> dict[str, bytes]:
        """The bytes of each input."""
        length = int(self.fields["inference-header-content-length"])
        rest, found = self.body[length:], {}
        for tensor in json.loads(self.body[:length])["inputs"]:
            size = tensor["parameters"]["binary_data_size"]
            found[tensor["name"]], rest = rest[:size], rest[size:]
        return found


@dataclass
class HttpsEndpoint:
    """Where it listens, what it says, and what it was asked."""

    port: int
    script: Script
    asked: list[Asked] = field(default_factory=list)
    keeps: bool = False
    """Connections are left open for further requests."""
    connections: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client that waited for an answer has left."""

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}/v2/models/x/infer"


def answer(
    outputs: Sequence[tuple[str, str, Sequence[int], bytes]], *, status: str = "200 OK", fields: str = ""
) -> bytes:
    """Write an answer with binary outputs, each a name, a datatype, a shape and bytes."""
    document = {
        "model_name": "x",
        "outputs": [
            {"name": name, "datatype": datatype, "shape": list(shape), "parameters": {"binary_data_size": len(data)}}
            for name, datatype, shape, data in outputs
        ],
    }
    text = json.dumps(document).encode()
    body = text + b"".join(data for *_, data in outputs)
    return plain(body, status=status, fields=f"Inference-Header-Content-Length: {len(text)}\r\n{fields}")


def plain(body: bytes, *, status: str = "200 OK", fields: str = "") -> bytes:
    """Write an answer with any body."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body


@contextmanager
def https_endpoint(certificate: Path, script: Script) -> Iterator[HttpsEndpoint]:
    """Serve while the context is open."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = HttpsEndpoint(listener.getsockname()[1], script)
    thread = threading.Thread(target=_serve, args=(listener, tls, serving))
    thread.start()
    try:
        yield serving
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)
        listener.close()
        assert not thread.is_alive()


def _serve(listener: socket.socket, tls: ssl.SSLContext, serving: HttpsEndpoint) -> None:
    threads = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        threads.append(threading.Thread(target=_attend_all, args=(connection, tls, serving)))
        threads[-1].start()
    for thread in threads:
        thread.join(60)


def _attend_all(connection: socket.socket, tls: ssl.SSLContext, serving: HttpsEndpoint) -> None:
    connection.settimeout(60)
    with suppress(OSError), tls.wrap_socket(connection, server_side=True) as secure:
        serving.connections += 1
        while _attend(secure, serving) and serving.keeps:
            pass


def _attend(secure: ssl.SSLSocket, serving: HttpsEndpoint) -> bool:
    """Answer one request; returns whether there was one."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = secure.recv(65536)
        if not block:
            return False
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    asked = Asked(head.decode("latin-1"), body)
    while len(body) < int(asked.fields["content-length"]):
        body += secure.recv(65536)
    serving.asked.append(asked := Asked(asked.head, body))
    said = serving.script(asked)
    if said is None:
        with suppress(OSError):
            secure.recv(1)
        serving.left.set()
        return False
    for part in [said] if isinstance(said, bytes) else said:
        secure.sendall(part)
    return True
