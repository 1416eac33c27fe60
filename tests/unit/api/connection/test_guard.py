"""The guard of a connection without the connection: the same answers however the bytes come, and none that harm."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from edged.api.connection.gate import Gate
from edged.api.connection.guard import REFUSAL_S
from edged.api.limits import LiveLimits
from edged.api.oip.infer import Services
from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.schema import LimitsConfig, ServeConfig
from edged.errors import UnavailableError
from edged.runtime.wire import INLINE_BYTES
from tests.fakes.fake_models import FakeModels
from tests.fakes.raw_http import post, request
from tests.fakes.served_workers import HeldTime
from tests.fakes.transports import FakeTransport, deliver

INFER = "/v2/models/echo/infer"
BARE = "Inference-Header-Content-Length: 0\r\n"


class Library:
    """Stands for the server library: knows where each request it was given ends, and answers it with its size."""

    def __init__(self) -> None:
        self.got = bytearray()
        self._need = 0

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, exc):
        pass

    def pause_writing(self):
        pass

    def resume_writing(self):
        pass

    def data_received(self, data):
        if not self._need:
            head = bytes(data).lower()
            self._need = len(data) + int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        self.got += data
        self._need -= len(data)
        if not self._need:
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.guard.request_done(has_keepalive=True)


class Connection:
    """A guard, its transport and what is behind it."""

    def __init__(self, models: FakeModels, *, high_bytes: int | None = None, **limits: object) -> None:
        self.library = Library()
        callers = LimitsConfig()
        self.gate = Gate(
            lambda: self.library,
            Services(
                models=models,
                usage=models,
                quotas=Quotas(lambda: callers, SystemClock()),
                limits=LiveLimits(ServeConfig(**limits)),
            ),
        )
        self.transport = FakeTransport(high_bytes=high_bytes)
        self.guard = self.library.guard = self.transport.guard = self.gate()
        self.guard.connection_made(self.transport)

    def deliver(self, data: bytes) -> None:
        """Hand over bytes; afterwards another connection receives something."""
        deliver(self.guard, data)
        self.gate.scratch[:300] = b"\xee" * 300

    def replies(self) -> list[tuple[int, bytes]]:
        """Status and body of each response."""
        found = []
        rest = bytes(self.transport.written)
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            found.append((int(head.split()[1]), rest[:length]))
            rest = rest[length:]
        return found


@contextmanager
def connected(models: FakeModels | None = None, **options: object) -> Iterator[Connection]:
    connection = Connection(models or FakeModels(), **options)
    try:
        yield connection
    finally:
        connection.guard.connection_lost(None)
        connection.transport.end()


FILE = {"inputs": [{"name": "content", "datatype": "BYTES", "shape": [1], "data": ["hello"]}]}
SMALL = post(INFER, FILE)
LARGE = request("POST", INFER, body=b"\x07" * (INLINE_BYTES + 1), headers=BARE)
WRONG = post(INFER, {"inputs": []})
UNKNOWN = request("POST", "/v2/models/nobody/infer", body=b"\x07" * (INLINE_BYTES + 1), headers=BARE)
EMPTY = request("POST", INFER, headers=BARE)
OTHER = request("GET", "/v2", body=b"x" * 30)
REQUESTS = {SMALL: 200, LARGE: 200, WRONG: 400, UNKNOWN: 404, EMPTY: 200, OTHER: 200}


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(
    requests=st.lists(st.sampled_from(list(REQUESTS)), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 1 << 18), max_size=12),
    near=st.lists(st.integers(0, 400), max_size=12),
)
async def test_requests_have_the_same_answers_however_they_are_split(requests, cuts, near):
    """Small and large, right and wrong, for a model and for the library: one answer each, in order."""
    models = FakeModels()
    sent = b"".join(requests)
    with connected(models) as connection:
        for piece in split(sent, cuts + near):
            connection.deliver(piece)
        replies = connection.replies()

        assert [status for status, _ in replies] == [REQUESTS[item] for item in requests]
        assert bytes(connection.library.got) == b"".join(item for item in requests if item is OTHER)
        ran = [item for item in requests if item in {SMALL, LARGE, EMPTY}]
        wanted = {SMALL: b"hello", LARGE: b"\x07" * (INLINE_BYTES + 1), EMPTY: b""}
        assert [inputs["content"][4:] for inputs in models.inputs] == [wanted[item] for item in ran]
    assert models.memory.taken_bytes == 0


@given(
    requests=st.lists(st.sampled_from(list(REQUESTS)), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 1 << 18), max_size=12),
    moves=st.lists(st.sampled_from(["send", "answer", "read"]), max_size=20),
    high_bytes=st.sampled_from([0, 500, 100_000]),
)
async def test_slow_models_and_slow_readers_only_take_time(requests, cuts, moves, high_bytes):
    """Whatever happens in which order: as long as somebody moves, all is answered in the end, in order."""
    models = FakeModels()
    models.hold = True
    pieces = split(b"".join(requests), cuts)
    with connected(models, high_bytes=high_bytes) as connection:
        transport = connection.transport
        while pieces or models.under_way or transport.is_full:
            able = {
                "send": bool(pieces) and not transport.is_reading_paused,
                "answer": models.under_way > 0,
                "read": transport.is_full,
            }
            move = moves.pop() if moves else next(name for name in able if able[name])
            if move == "send" and able["send"]:
                connection.deliver(pieces.pop(0))
            elif move == "answer":
                models.let_go()
                models.hold = True
            elif move == "read":
                transport.read()

        assert [status for status, _ in connection.replies()] == [REQUESTS[item] for item in requests]
    assert models.memory.taken_bytes == 0


@given(
    data=st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [b"POST ", INFER.encode(), b" HTTP/1.1", b"\r\n", b"Host: a", b"Content-Length: 3", b"{}", b"\0"]
        ),
        max_size=20,
    ).map(b"".join),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    is_ended=st.booleans(),
)
async def test_any_bytes_end_in_whole_answers_or_in_waiting_for_more(data, cuts, is_ended):
    with connected() as connection:
        for piece in split(data, cuts):
            connection.deliver(piece)
        if is_ended:
            connection.guard.eof_received()
        for status, body in connection.replies():
            assert status == 200 or msgspec.json.decode(body)["status"] == status


@given(
    place=st.integers(0, len(SMALL) - 1),
    value=st.integers(0, 255),
    cuts=st.lists(st.integers(0, len(SMALL)), max_size=4),
)
@example(place=0, value=ord("!"), cuts=[5])
@example(place=0, value=ord("\n"), cuts=[1, 5])
@example(place=SMALL.index(b"\r"), value=ord("x"), cuts=[SMALL.index(b"\n") + 1])
async def test_one_wrong_byte_has_the_same_outcome_however_it_is_split(place, value, cuts):
    """Whether a request is refused depends on its bytes and on nothing else."""
    sent = bytearray(SMALL)
    sent[place] = value
    outcomes = []
    for pieces in ([bytes(sent)], split(bytes(sent), cuts)):
        with connected() as connection:
            for piece in pieces:
                connection.deliver(piece)
            outcomes.append([status for status, _ in connection.replies()])

    assert outcomes[0] == outcomes[1]


async def test_a_connection_that_ended_is_free_at_once():
    """Not when the garbage collector comes by: connections may be many and short."""
    models = FakeModels()
    callers = LimitsConfig()
    quotas = Quotas(lambda: callers, SystemClock())
    gate = Gate(Library, Services(models=models, usage=models, quotas=quotas, limits=LiveLimits(ServeConfig())))
    transport = FakeTransport()
    guard = gate()
    guard.connection_made(transport)
    for sent in (SMALL, LARGE, WRONG, LARGE[:-1]):
        deliver(guard, sent)
    guard.connection_lost(None)
    transport.end()
    models.requests.clear()
    left = weakref.ref(guard)
    gc.disable()
    try:
        del guard
        assert left() is None
    finally:
        gc.enable()


async def test_who_is_refused_for_now_is_told_so_after_a_moment_and_heard_again_only_then(monkeypatch):
    """Or asking again at once, on and on, would take the processor from those that are answered."""
    time = HeldTime(monkeypatch)
    models = FakeModels()
    models.failure = UnavailableError("Full.", retry_after_s=1)
    with connected(models) as connection:
        connection.deliver(SMALL)
        connection.deliver(SMALL)
        await time.pass_s(0.9 * REFUSAL_S)
        assert connection.replies() == []
        assert len(models.requests) == 1

        await time.pass_s(0.2 * REFUSAL_S)
        assert [status for status, _ in connection.replies()] == [503]
        assert len(models.requests) == 2


async def test_who_is_refused_for_good_is_told_so_at_once():
    with connected() as connection:
        connection.deliver(WRONG)

        assert [status for status, _ in connection.replies()] == [400]


async def test_who_leaves_before_being_told_of_a_refusal_is_told_nothing(monkeypatch):
    time = HeldTime(monkeypatch)
    models = FakeModels()
    models.failure = UnavailableError("Full.", retry_after_s=1)
    with connected(models) as connection:
        connection.deliver(SMALL)
    await time.pass_s(2 * REFUSAL_S)

    assert connection.replies() == []
