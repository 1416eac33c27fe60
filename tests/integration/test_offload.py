"""Requests that leave the device: both processes' parts, the real gate, and a real HTTPS server with a real model behind it."""

import asyncio
import json
import logging
import ssl
import threading
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edged.config.schema import EndpointConfig
from edged.daemon.offload.endpoints import Endpoints
from edged.daemon.serving.asking import ask
from edged.errors import DeadlineError, OffloadError
from edged.offload.breaker import FAILURES, FIRST_REST_S
from edged.offload.exchange import Endpoint
from edged.offload.messages import Answered, Ask, Placed, Traffic, encode
from edged.offload.service import OffloadService
from edged.pipeline.spec import TensorSpec
from edged.runtime.calls import Call, Request, SequenceStep
from edged.runtime.tensors import Tensor
from edged.sockets import bind_unix
from tests.fakes.certificates import write_certificate
from tests.fakes.clocks import ManualClock
from tests.fakes.gates import resolve_nothing, running_gate, short_directory
from tests.fakes.https_endpoints import HOST, answer, https_endpoint, plain
from tests.fakes.loop_clocks import skip_s
from tests.fakes.models import add_model
from tests.fakes.patience import PATIENCE_S

OUTPUTS = (TensorSpec(name="y", dtype="FP32", shape=(-1, 4)),)
X = np.array([[1.0, 2.5, -3.0, 0.0]], np.float32)
GOOD = answer([("y", "FP32", [1, 4], (X + 1).tobytes())])
FAR_S = 1e9
TIMEOUT_S = EndpointConfig(url="https://models.test/").timeout_s


class Spent:
    """Notes what left."""

    def __init__(self):
        self.all = []

    def offloaded(self, model, *, sent_bytes, received_bytes):
        self.all.append((model, sent_bytes, received_bytes))


class World:
    """A device with one endpoint."""

    def __init__(self, endpoints, clock, spent, web):
        self.endpoints = endpoints
        self.clock = clock
        self.spent = spent
        self.web = web

    async def ask(self, *, data=None, deadline_s=FAR_S, **wishes):
        data = X.tobytes() if data is None else data
        tensor = Tensor(name="x", dtype="FP32", shape=(len(data) // 16, 4), data=data)
        return await ask(
            lambda call: self.endpoints.submit("x", call),
            Request(inputs=[tensor], deadline_s=deadline_s, **wishes),
        )

    async def late(self, monkeypatch):
        """Ask, and have the time pass that an answer may take, once the endpoint was asked."""
        asking = asyncio.ensure_future(self.trouble())
        while not self.web.asked:  # noqa: ASYNC110 - another thread's list, which sets no event
            await asyncio.sleep(0)
        skip_s(monkeypatch, TIMEOUT_S)
        assert (await asking).facts["trouble"] == "late"

    async def trouble(self, **wishes):
        with pytest.raises(OffloadError) as caught:
            await self.ask(**wishes)
        return caught.value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return write_certificate(tmp_path_factory.mktemp("tls") / "both.pem", HOST)


@asynccontextmanager
async def offloading(
    certificate, script, *, allow=True, resolve=None, credential=None, logs=False, trusted=None, **settings
):
    """Everything between a call and the endpoint, as it is on a device but for the sandboxes."""
    with https_endpoint(certificate, script) as web, short_directory() as directory:
        allowed = [f"{HOST}:{web.port}"] if allow else []
        with running_gate(allow_private=allowed, **({} if resolve is None else {"resolve": resolve})) as gate:
            config = EndpointConfig(url=web.url, private=True, **settings)
            service = OffloadService(
                {"x": Endpoint(config=config, credential=credential or {})},
                gate=gate.path,
                tls=ssl.create_default_context(cafile=trusted or certificate),
            )
            stop = asyncio.Event()
            listener = bind_unix(directory / "offload.sock", mode=0o600)
            running = asyncio.create_task(service.run(listener, stop))
            clock, spent = ManualClock(), Spent()
            endpoints = Endpoints(
                {"x": config},
                socket=directory / "offload.sock",
                outputs_of=lambda model: OUTPUTS,
                logs_each=lambda: logs,
                clock=clock,
                spent=spent,
            )
            try:
                async with asyncio.timeout(PATIENCE_S):
                    yield World(endpoints, clock, spent, web)
            finally:
                endpoints.give_up()
                stop.set()
                await running


def model_behind(asked):
    """A real model answers what was asked, as a real server would."""
    session = onnxruntime.InferenceSession(add_model(1.0))
    (name,), (data,) = [item.name for item in session.get_inputs()], asked.inputs.values()
    (result,) = session.run(None, {name: np.frombuffer(data, np.float32).reshape(-1, 4)})
    return answer([("y", "FP32", result.shape, result.tobytes())])


async def test_an_endpoint_answers_in_the_models_place(certificate):
    async with offloading(certificate, model_behind, credential={"Authorization": "Bearer s3cret"}) as world:
        result = await world.ask()

        (output,) = result.outputs
        assert np.frombuffer(output.data, np.float32).tolist() == (X + 1).ravel().tolist()
        (asked,) = world.web.asked
        assert asked.head.startswith("POST /v2/models/x/infer HTTP/1.1\r\n")
        assert asked.fields["authorization"] == "Bearer s3cret"
        assert asked.fields["host"] == f"{HOST}:{world.web.port}"


async def test_bytes_that_leave_are_counted(certificate):
    async with offloading(certificate, lambda _: GOOD) as world:
        await world.ask()

        (asked,) = world.web.asked
        assert world.spent.all == [("x", len(asked.head) + 4 + len(asked.body), len(GOOD))]
        assert world.endpoints.counts()["x"].answered == 1


async def test_outputs_may_come_as_json(certificate):
    body = json.dumps(
        {"outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [2.0, 3.5, -2.0, 1.0]}]}
    ).encode()
    async with offloading(certificate, lambda _: plain(body)) as world:
        (output,) = (await world.ask()).outputs

        assert np.frombuffer(output.data, np.float32).tolist() == [2.0, 3.5, -2.0, 1.0]


async def test_answers_in_chunks_are_put_together(certificate):
    head, _, body = GOOD.partition(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"Inference"))
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])]
    said = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + length + b"\r\n\r\n", *chunks, b"0\r\n\r\n"]
    async with offloading(certificate, lambda _: said) as world:
        assert len((await world.ask()).outputs) == 1


async def test_a_connection_is_kept_for_the_next_request(certificate):
    async with offloading(certificate, lambda _: GOOD) as world:
        world.web.keeps = True
        for _ in range(5):
            await world.ask()

        assert (len(world.web.asked), world.web.connections) == (5, 1)


async def test_a_kept_connection_that_was_closed_costs_nobody_an_answer(certificate):
    """The server closes after each answer without saying so, before or after the next request is on its way."""
    async with offloading(certificate, lambda _: GOOD) as world:
        for _ in range(5):
            await world.ask()

        assert world.web.connections == 5
        assert world.endpoints.counts()["x"].failed == 0


async def test_a_connection_whose_end_is_announced_is_not_kept(certificate):
    last = answer([("y", "FP32", [1, 4], (X + 1).tobytes())], fields="Connection: close\r\n")
    async with offloading(certificate, lambda _: last) as world:
        world.web.keeps = True
        await world.ask()
        await world.ask()

        assert world.web.connections == 2


async def test_what_was_left_in_the_middle_is_not_given_to_the_next_request(certificate, monkeypatch):
    """An answer that comes too late belongs to nobody."""
    wrong = answer([("y", "FP32", [1, 4], bytes(16))])
    release = threading.Event()

    def script(_):
        if len(world.web.asked) == 1:
            release.wait(PATIENCE_S)
            return wrong
        return GOOD

    async with offloading(certificate, script) as world:
        world.web.keeps = True
        await world.late(monkeypatch)
        release.set()
        (output,) = (await world.ask()).outputs

        assert np.frombuffer(output.data, np.float32).tolist() == (X + 1).ravel().tolist()


HOSTILE = {
    "another datatype": answer([("y", "INT32", [1, 4], bytes(16))]),
    "another rank": answer([("y", "FP32", [4], bytes(16))]),
    "too few bytes": answer([("y", "FP32", [1, 4], bytes(12))]),
    "an absurd shape": answer([("y", "FP32", [1 << 30, 4], bytes(16))]),
    "a negative axis": answer([("y", "FP32", [-1, 4], bytes(16))]),
    "another output": answer([("z", "FP32", [1, 4], bytes(16))]),
    "an output twice": answer([("y", "FP32", [1, 4], bytes(16)), ("y", "FP32", [1, 4], bytes(16))]),
    "more bytes than outputs": plain(b'{"outputs":[]}x', fields="Inference-Header-Content-Length: 14\r\n"),
    "a header longer than the body": plain(b'{"outputs":[]}', fields="Inference-Header-Content-Length: 99\r\n"),
    "an odd header length": plain(b'{"outputs":[]}', fields="Inference-Header-Content-Length: -1\r\n"),
    "no JSON": plain(b"<html>Welcome to our hotel</html>"),
    "deep JSON": plain(b"[" * 100_000),
    "no HTTP": b"220 smtp.example.org ESMTP\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "an encoding": plain(b"{}", fields="Content-Encoding: gzip\r\n"),
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an endless head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "JSON that is no number": plain(b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1],"data":[NaN]}]}'),
}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
async def test_an_answer_that_is_none_ends_the_request_and_nothing_else(certificate, said):
    """And nothing of it is repeated to the caller."""
    script = iter([said, GOOD])
    async with offloading(certificate, lambda _: next(script)) as world:
        error = await world.trouble()

        assert error.facts["trouble"] == "nonsense"
        assert "hotel" not in error.message
        assert len((await world.ask()).outputs) == 1


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (plain(b"", status="302 Found", fields="Location: https://elsewhere.test/\r\n"), "refused"),
        (plain(b"", status="401 Unauthorized"), "refused"),
        (plain(b"", status="500 Internal Server Error"), "unreachable"),
        (plain(b"x" * 5000), "too-large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4000000000\r\n\r\n", "too-large"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "too-large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "unreachable"),
        (b"HTTP/1.1 200", "unreachable"),
    ],
)
async def test_what_went_wrong_is_told_apart(certificate, said, trouble):
    async with offloading(certificate, lambda _: said, max_answer_bytes=4096) as world:
        assert (await world.trouble()).facts["trouble"] == trouble
        assert len(world.web.asked) == 1, "a redirect is not followed, and nothing is sent twice"


async def test_an_endpoint_that_says_nothing_is_given_up(certificate, monkeypatch):
    async with offloading(certificate, lambda _: None) as world:
        await world.late(monkeypatch)
        assert await asyncio.to_thread(world.web.left.wait, PATIENCE_S)


async def test_a_request_whose_deadline_passed_is_told_that(certificate):
    async with offloading(certificate, lambda _: None) as world:
        with pytest.raises(DeadlineError):
            await world.ask(deadline_s=world.clock.monotonic_s())


async def test_a_caller_that_leaves_is_not_answered_for_any_longer(certificate):
    """The endpoint is left, too, and the call is finished, so that its memory is given back."""
    asked, outcomes = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def script(_):
        loop.call_soon_threadsafe(asked.set)

    async with offloading(certificate, script) as world:
        request = Request(inputs=[Tensor(name="x", dtype="FP32", shape=(1, 4), data=X.tobytes())], deadline_s=FAR_S)
        call = Call(request, outcomes.append)
        world.endpoints.submit("x", call)
        await asked.wait()

        call.abandon()

        assert await asyncio.to_thread(world.web.left.wait, PATIENCE_S)
        assert call.is_finished


async def test_a_call_that_is_abandoned_before_it_began_is_finished(certificate):
    async with offloading(certificate, lambda _: GOOD) as world:
        request = Request(inputs=[Tensor(name="x", dtype="FP32", shape=(1, 4), data=X.tobytes())], deadline_s=FAR_S)
        outcomes = []
        call = Call(request, outcomes.append)
        world.endpoints.submit("x", call)
        call.abandon()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert len(outcomes) == 1
        assert world.web.asked == []


async def test_a_failing_endpoint_rests_and_is_tried_again(certificate, caplog):
    """Three failures in a row, then nobody is sent there until its rest is over; one trial decides."""
    caplog.set_level(logging.INFO)
    failing = plain(b"", status="500 Internal Server Error")
    script = iter([failing] * (FAILURES + 1) + [GOOD] * 2)
    async with offloading(certificate, lambda _: next(script)) as world:
        for _ in range(FAILURES):
            await world.trouble()
        refused = await world.trouble()
        assert (refused.facts["trouble"], refused.retry_after_s) == ("busy", int(FIRST_REST_S))
        world.clock.advance(FIRST_REST_S)
        assert (await world.trouble()).facts["trouble"] == "unreachable", "the trial"
        assert (await world.trouble()).retry_after_s == 2 * int(FIRST_REST_S)
        world.clock.advance(2 * FIRST_REST_S)

        assert len((await world.ask()).outputs) == 1
        assert len((await world.ask()).outputs) == 1

    told = [record.message for record in caplog.records if "Endpoint of a model" in record.message]
    assert len(told) == 2
    assert told[1].startswith("Endpoint of a model answers again")


async def test_why_an_endpoint_did_not_answer_is_told_once(certificate, caplog):
    """Its caller may well be answered by the device, and never hear of it."""
    refusing, failing = (plain(b"", status=status) for status in ("401 Unauthorized", "500 Internal Server Error"))
    script = iter([refusing, GOOD, refusing, failing])
    async with offloading(certificate, lambda _: next(script)) as world:
        await world.trouble()
        await world.ask()
        await world.trouble()
        await world.trouble()

    told = [record.message for record in caplog.records if "no answer from the endpoint of model x" in record.message]
    assert ["401" in message for message in told] == [True, False]


async def test_what_the_endpoint_asks_for_is_done(certificate):
    busy = plain(b"", status="503 Service Unavailable", fields="Retry-After: 77\r\n")
    async with offloading(certificate, lambda _: busy) as world:
        assert (await world.trouble()).retry_after_s == 77
        await world.trouble()

        assert len(world.web.asked) == 1


async def test_no_more_is_sent_than_the_administrator_allows(certificate):
    async with offloading(certificate, lambda _: GOOD, max_per_minute=2.0) as world:
        await world.ask()
        await world.ask()
        assert (await world.trouble()).retry_after_s == 30
        world.clock.advance(30)
        await world.ask()

        assert len(world.web.asked) == 3


async def test_a_large_request_stays_here(certificate):
    async with offloading(certificate, lambda _: GOOD, max_request_bytes=8) as world:
        assert (await world.trouble()).facts["trouble"] == "too-large"
        assert world.web.asked == []


async def test_a_sequence_stays_here(certificate):
    async with offloading(certificate, lambda _: GOOD) as world:
        assert "sequence" in (await world.trouble(sequence=SequenceStep(id=1))).message
        assert world.web.asked == []


async def test_the_gate_has_the_last_word(certificate):
    async with offloading(certificate, lambda _: GOOD, allow=False) as world:
        error = await world.trouble()

        assert error.facts["trouble"] == "refused"
        assert "gate refuses" in error.message
        assert world.web.asked == []


async def test_a_name_without_an_address_is_unreachable(certificate):
    async with offloading(certificate, lambda _: GOOD, resolve=resolve_nothing) as world:
        assert (await world.trouble()).facts["trouble"] == "unreachable"
        assert world.spent.all == [], "nothing left the device"


async def test_somebody_elses_certificate_is_not_believed(certificate, tmp_path):
    """Same name, another key."""
    other = write_certificate(tmp_path / "other.pem", HOST)
    async with offloading(other, lambda _: GOOD, trusted=certificate) as world:
        error = await world.trouble()

        assert error.facts["trouble"] == "unreachable"
        assert "certificate" in error.message
        assert world.web.asked == []


async def test_each_answer_is_told_where_the_regulatory_mode_asks_for_it(certificate, caplog):
    caplog.set_level(logging.INFO)
    async with offloading(certificate, lambda _: GOOD, logs=True) as world:
        await world.ask()

    (record,) = [record for record in caplog.records if "outside of this device" in record.message]
    assert set(record.edged_fields) == {"model", "sent_bytes", "received_bytes"}


async def play(directory: Path, said: bytes | None):
    """Ask something in the place of ``edged-offload``, which says anything."""

    async def attend(reader, writer):
        await reader.read(1)
        if said is not None:
            writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(attend, directory / "offload.sock")
    endpoints = Endpoints(
        {"x": EndpointConfig(url="https://models.test/", max_answer_bytes=64)},
        socket=directory / "offload.sock",
        outputs_of=lambda model: OUTPUTS,
        logs_each=lambda: False,
        clock=ManualClock(),
        spent=Spent(),
    )
    try:
        return (await World(endpoints, None, None, None).trouble()).facts["trouble"]
    finally:
        server.close()
        endpoints.give_up()


def told(*outputs, data=b""):
    return encode(Answered(outputs=outputs, traffic=Traffic()), [data])


PLACED = Placed(name="y", dtype="FP32", shape=(1, 4), size=16)


@pytest.mark.parametrize(
    "said",
    [
        None,
        b"\xff\xff\xff\xff",
        b"\x02\x00\x00\x00[]",
        encode(Ask(model="x", timeout_s=1.0, inputs=(), outputs=OUTPUTS)),
        told(data=bytes(16)),
        told(PLACED, data=bytes(12)),
        told(Placed(name="z", dtype="FP32", shape=(1, 4), size=16), data=bytes(16)),
        told(Placed(name="y", dtype="INT32", shape=(1, 4), size=16), data=bytes(16)),
        told(Placed(name="y", dtype="FP32", shape=(4, 1), size=16), data=bytes(16)),
        told(Placed(name="y", dtype="FP32", shape=(1000, 4), size=16000), data=bytes(16000)),
    ],
)
async def test_the_process_that_reads_hostile_bytes_is_not_believed_either(said):
    with short_directory() as directory:
        async with asyncio.timeout(PATIENCE_S):
            assert await play(directory, said) == "nonsense"


async def test_without_the_process_requests_are_refused():
    endpoints = Endpoints(
        {"x": EndpointConfig(url="https://models.test/")},
        socket=Path("/nonexistent/offload.sock"),
        outputs_of=lambda model: OUTPUTS,
        logs_each=lambda: False,
        clock=ManualClock(),
        spent=Spent(),
    )
    assert (await World(endpoints, None, None, None).trouble()).facts["trouble"] == "unreachable"
    assert (endpoints.has("x"), endpoints.has("other")) == (True, False)
