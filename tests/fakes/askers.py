"""Apps that ask the adder all the time, each in a thread and in a way of its own, and remember what became of every request.

None of them hides a loss: those that ask again do so only where edged says that they may (a connection that was closed before any of an
answer came), and count it.
"""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from edged.client import Client
from edged.client.session import Session
from edged.errors import DaemonUnreachableError
from tests.fakes.bundles import adder_answer
from tests.fakes.patience import PATIENCE_S

HELLO: Final = b"Hello, edge"
REQUEST: Final = (
    b"POST /v2/models/adder/infer HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: 0\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(HELLO), HELLO)
)


Answerer = Literal["version", "variant"]
"""What answers are told apart by."""


class Asker(Protocol):
    """Whoever asks ``HELLO``."""

    again: int
    """Requests that were sent a second time."""

    def ask(self) -> tuple[str, float]:
        """Ask once; returns the version (or variant) that answered and its sum. Whatever goes wrong is raised."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class RawAsker:
    """Bytes on a socket, and no second try for anything."""

    def __init__(self, path: Path, *, keeps: bool, tells: Answerer = "version") -> None:
        self.again = 0
        self._path = path
        self._keeps = keeps
        self._header = {"version": "edged-model-version", "variant": "edged-variant"}[tells]
        self._socket: socket.socket | None = None

    def ask(self) -> tuple[str, float]:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(PATIENCE_S)
            self._socket.connect(str(self._path))
        self._socket.sendall(REQUEST)
        head, body = self._receive(b"", b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        headers = dict(field.lower().split(": ", 1) for field in fields)
        body, _ = self._receive(body, size=int(headers["content-length"]))
        assert status == "HTTP/1.1 200 OK", f"{status}: {body.decode()}"
        if not self._keeps:
            self.close()
        answer = json.loads(body)
        return headers[self._header], answer["outputs"][0]["data"][0]

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _receive(self, data: bytes, end: bytes = b"", *, size: int = 0) -> tuple[bytes, bytes]:
        """Receive up to a mark or a size; returns what came before it and what came after it."""
        assert self._socket is not None
        while (end not in data) if end else (len(data) < size):
            more = self._socket.recv(65536)
            assert more, f"the connection was closed after {data!r}"
            data += more
        before, _, after = data.partition(end) if end else (data, b"", b"")
        return before, after


class ClientAsker:
    """An app with edged's own client, which sends a request again by itself where it may."""

    def __init__(self, path: Path, *, tells: Answerer = "version") -> None:
        self.again = 0
        self._tells = tells
        self._client = Client(str(path), tensor_path=None)

    def ask(self) -> tuple[str, float]:
        result = self._client.infer("adder", {"file": HELLO})
        return getattr(result, self._tells), float(result.outputs["sum"][0, 0])

    def close(self) -> None:
        self._client.close()


class SessionAsker:
    """An app on the tensor socket: what was not answered when its connection was closed did not run (docs/tensor-socket.md)."""

    def __init__(self, path: Path, *, tells: Answerer = "version") -> None:
        self.again = 0
        self._path = path
        self._tells = tells
        self._session: Session | None = None

    def ask(self) -> tuple[str, float]:
        while True:
            try:
                return self._ask_once()
            except DaemonUnreachableError:
                self.close()
                self.again += 1

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ask_once(self) -> tuple[str, float]:
        if self._session is None:
            self._session = Session(str(self._path), "adder", memory_bytes=1 << 16)
        result = self._session.infer({"file": HELLO})
        return getattr(result, self._tells), float(result.outputs["sum"][0, 0])


class Load:
    """Askers at work, from entering to leaving.

    Args:
        askers: Makes each of them.
        more: What each version (or variant) adds to the sum (``tests.fakes.bundles.make_recipe``).
    """

    def __init__(self, askers: Sequence[Callable[[], Asker]], more: Mapping[str, float]) -> None:
        self.answered: Counter[str] = Counter()
        """Right answers by version."""
        self.failures: list[str] = []
        """What every other request ended with."""
        self.again = 0
        self._expected = {version: adder_answer(HELLO) + value for version, value in more.items()}
        self._changed = threading.Condition()
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._ask, args=(make,), name=f"asker {i}") for i, make in enumerate(askers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()

    @property
    def total(self) -> int:
        """Requests that are over, well or not."""
        return self.answered.total() + len(self.failures)

    def wait_for_answers(self, count: int, *, version: str = "") -> None:
        """Wait until so many more requests were answered, by any version or by this one; any failure ends the wait."""

        def answers() -> int:
            return self.answered[version] if version else self.answered.total()

        with self._changed:
            wanted = answers() + count
            is_there = self._changed.wait_for(lambda: answers() >= wanted or self.failures, PATIENCE_S)
        assert is_there, (
            f"no {count} answers of {version or 'any version'} within {PATIENCE_S:g} s; so far {self.answered}"
        )

    def _ask(self, make: Callable[[], Asker]) -> None:
        asker = make()
        while not self._is_over:
            failure = ""
            try:
                version, value = asker.ask()
                if value != self._expected[version]:
                    failure = f"version {version} answered {value}, not {self._expected[version]}"
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is a request that was lost
                failure = f"{type(asker).__name__}: {exc!r}"
                asker.close()
            with self._changed:
                if failure:
                    self.failures.append(failure)
                else:
                    self.answered[version] += 1
                self._changed.notify_all()
        asker.close()
        with self._changed:
            self.again += asker.again
