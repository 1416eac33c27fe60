"""Shared memory with a model: what lies where, what is said, and what comes back."""

import fcntl
import mmap
import os
import socket
import threading
from dataclasses import replace

import numpy as np
import pytest

from edged.client import Call, Client, Session
from edged.client.conversation import Conversation
from edged.client.memory import SharedMemory
from edged.errors import DaemonUnreachableError, EdgedError, QuotaError, TensorError, UnavailableError
from edged.tensor_socket import (
    Datatype,
    Error,
    Infer,
    Kind,
    Notice,
    Open,
    Opened,
    Placed,
    Result,
    TensorEntry,
    decode_to_client,
    decode_to_server,
    encode,
)
from tests.fakes.scripted_server import ScriptedServer

MEGABYTE = 1 << 20
OPENED = Opened(
    version="1.0.0",
    variant="doubler-1.0.0-fp32-any",
    memory_bytes=MEGABYTE,
    deadline_us=20_000_000,
    tensors=(
        TensorEntry(kind=Kind.INPUT, index=0, name="x", datatype=Datatype.FP32, shape=(-1,)),
        TensorEntry(kind=Kind.INPUT, index=1, name="words", datatype=Datatype.BYTES, shape=(-1,)),
        TensorEntry(kind=Kind.MODEL_INPUT, index=2, name="raw", datatype=Datatype.FP32, shape=(-1,)),
        TensorEntry(kind=Kind.OUTPUT, index=0, name="y", datatype=Datatype.FP32, shape=(-1,)),
        TensorEntry(kind=Kind.OUTPUT, index=1, name="sum", datatype=Datatype.FP32, shape=(1,)),
    ),
)


def opened(_message, _descriptors):
    return encode(OPENED)


class Doubler:
    """A model that gives its first input twice as large, and its sum; in the memory that the app passed."""

    def __init__(self) -> None:
        self.memory: mmap.mmap | None = None

    def open(self, _message, descriptors):
        (descriptor,) = descriptors
        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
        self.memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        os.close(descriptor)
        return encode(OPENED)

    def infer(self, message, _descriptors):
        request = decode_to_server(message)
        assert isinstance(request, Infer)
        first = request.inputs[0]
        x = np.frombuffer(self.memory, dtype="<f4", count=first.shape[0], offset=first.offset)
        outputs = []
        for room in request.outputs:
            y = x * 2 if room.index == 0 else x.sum(keepdims=True)
            assert y.nbytes <= room.capacity
            self.memory[room.offset : room.offset + y.nbytes] = y.tobytes()
            outputs.append(Placed(index=room.index, shape=y.shape, offset=room.offset, size=y.nbytes))
        return encode(Result(request=request.request, run_ns=1, outputs=tuple(outputs)))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tensor.sock"


def server(path, *scripts):
    return ScriptedServer(path, *scripts, kind=socket.SOCK_SEQPACKET)


def session(path, **options):
    return Session(str(path), "doubler", **{"memory_bytes": MEGABYTE, **options})


def test_answers_are_read_from_the_shared_memory(path):
    model = Doubler()
    with server(path, [model.open, model.infer]), session(path) as doubler:
        result = doubler.infer({"x": np.array([1, 2, 3], dtype=np.float32), "words": ["a"]})

    assert (result["y"].tolist(), result["sum"].tolist()) == ([2.0, 4.0, 6.0], [6.0])
    assert (result.version, result.variant) == ("1.0.0", "doubler-1.0.0-fp32-any")


def test_an_answer_stays_as_it_is_when_the_next_one_comes(path):
    model = Doubler()
    with server(path, [model.open, model.infer, model.infer]), session(path) as doubler:
        first = doubler.infer({"x": np.ones(2, dtype=np.float32), "words": [""]})
        doubler.infer({"x": np.full(2, 5, dtype=np.float32), "words": [""]})

    assert first["y"].tolist() == [2.0, 2.0]


def test_an_array_that_lies_in_the_memory_already_is_not_moved(path):
    model = Doubler()
    with server(path, [model.open, model.infer, model.infer]) as played, session(path) as doubler:
        frame = doubler.array("x", (4,))
        for value in (1, 2):
            frame[:] = value
            assert doubler.infer({"x": frame, "words": ["w"]})["y"].tolist() == [2.0 * value] * 4

    places = [decode_to_server(message).inputs for message in played.asked[1:]]
    assert places[0] == places[1]
    assert places[0][0].offset == 0
    assert places[0][1].offset >= frame.nbytes


def test_the_same_request_again_differs_in_its_number_alone(path):
    model = Doubler()
    with server(path, [model.open] + [model.infer] * 3) as played, session(path) as doubler:
        for _ in range(3):
            doubler.infer({"x": np.ones(2, dtype=np.float32), "words": ["w"]})

    assert [decode_to_server(message).request for message in played.asked[1:]] == [1, 2, 3]
    assert {message[:8] + message[16:] for message in played.asked[1:]} == {played.asked[1][:8] + played.asked[1][16:]}


def test_the_models_own_inputs_may_be_sent_instead(path):
    model = Doubler()
    with server(path, [model.open, model.infer]) as played, session(path) as doubler:
        doubler.infer({"raw": np.ones(2, dtype=np.float32)}, outputs=["y"])

    request = decode_to_server(played.asked[1])
    assert [item.index for item in request.inputs] == [2]
    assert [room.index for room in request.outputs] == [0]


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ({"z": np.ones(1, dtype=np.float32)}, (), "no input 'z'"),
        ({"x": np.ones(1, dtype=np.float64)}, (), "is FP32, not FP64"),
        ({"x": np.ones(1, dtype=np.float32)}, ("z",), "no output 'z'"),
        ({"x": np.ones(MEGABYTE, dtype=np.float32)}, (), "has 1048576 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_sent(path, inputs, outputs, reason):
    with server(path, [opened]), session(path) as doubler, pytest.raises(TensorError, match=reason):
        doubler.infer(inputs, outputs=outputs)


def test_an_error_leaves_the_connection_as_it_is_unless_it_says_otherwise(path):
    limit = Error(status=429, code="quota-exceeded", message="No.", request=1, retry_after_ms=1500)
    end = Error(status=503, code="unavailable", message="No.", is_closing=True)
    model = Doubler()
    script = [model.open, lambda *_: encode(limit), model.infer, lambda *_: encode(end)]
    inputs = {"x": np.ones(1, dtype=np.float32), "words": ["w"]}
    with server(path, script), session(path) as doubler:
        with pytest.raises(QuotaError) as caught:
            doubler.infer(inputs)
        assert caught.value.retry_after_s == 2
        assert doubler.infer(inputs)["sum"].item() == 1.0
        with pytest.raises(UnavailableError):
            doubler.infer(inputs)
        assert doubler.is_closed


def test_a_refused_opening_is_the_error_it_was(path):
    refusal = Error(status=503, code="unavailable", message="The model is being loaded.", is_closing=True)
    with server(path, [lambda *_: encode(refusal)]), pytest.raises(UnavailableError, match="being loaded"):
        session(path)


def test_a_model_that_was_replaced_is_noticed(path):
    model = Doubler()
    notice = encode(Notice(version="2.0.0", variant="doubler-2.0.0-fp32-any"))
    with (
        server(path, [model.open, lambda *asked: [notice, model.infer(*asked)]]),
        session(path) as doubler,
    ):
        result = doubler.infer({"x": np.ones(1, dtype=np.float32), "words": ["w"]})

    assert (result.version, result["sum"].item()) == ("2.0.0", 1.0)


def test_scales_are_told_with_each_answer_and_followed(path):
    """What is asked for changes in a NOTICE; what was done is in each answer, and full where the app did it."""
    model = Doubler()
    first = encode(replace(OPENED, wanted_permille=500))
    notice = encode(Notice(version="1.0.0", variant="v", wanted_permille=250))

    def at(scale_permille):
        return lambda *asked: encode(replace(decode_to_client(model.infer(*asked)), scale_permille=scale_permille))

    def noted(*asked):
        return [notice, at(250)(*asked)]

    script = [lambda *asked: (model.open(*asked), first)[1], at(500), at(500), noted, at(0)]
    with server(path, script) as played, session(path) as doubler:
        assert doubler.wanted_scale == 0.5
        results = [doubler.infer({"x": np.ones(1, dtype=np.float32), "words": ["w"]}) for _ in range(4)]
        assert doubler.wanted_scale == 0.25

    assert [(result.scale, result.wanted_scale) for result in results] == [
        (0.5, 0.5), (0.5, 0.5), (0.25, 0.25), (1.0, 0.25)
    ]  # fmt: skip
    assert decode_to_server(played.asked[0]).wants_scales


def test_a_daemon_that_tells_no_scale_asks_for_all(path):
    model = Doubler()
    with server(path, [model.open, model.infer]), session(path) as doubler:
        result = doubler.infer({"x": np.ones(1, dtype=np.float32), "words": ["w"]})

        assert (doubler.wanted_scale, result.wanted_scale, result.scale) == (1.0, 1.0, 1.0)


def test_an_error_about_a_request_that_was_answered_already_is_nothing_to_the_next(path):
    """A worker that is lost in the moment of its answer leaves the daemon in doubt."""
    model = Doubler()
    late = encode(Error(request=1, status=500, code="worker-lost", message="the worker ended"))
    words = {"x": np.ones(1, dtype=np.float32), "words": ["w"]}
    with (
        server(path, [model.open, model.infer, lambda *asked: [late, model.infer(*asked)]]),
        session(path) as doubler,
    ):
        doubler.infer(words)

        assert doubler.infer(words)["sum"].item() == 1.0


def test_answers_in_other_places_than_before_are_found_there(path):
    model = Doubler()
    with server(path, [model.open, *[model.infer] * 4]), session(path) as doubler:
        for size in (3, 3, 100, 3):
            result = doubler.infer({"x": np.full(size, size, dtype=np.float32), "words": [""]})
            assert result["y"].tolist() == [2.0 * size] * size


def test_nobody_at_the_socket_is_told_with_its_path(path):
    with pytest.raises(DaemonUnreachableError, match=str(path)):
        session(path)


def test_a_daemon_that_hangs_up_is_unreachable(path):
    with server(path, [opened, lambda *_: None]), session(path) as doubler, pytest.raises(DaemonUnreachableError):
        doubler.infer({"x": np.ones(1, dtype=np.float32), "words": ["w"]})


@pytest.mark.parametrize("said", [b"x", encode(Notice(version="1", variant="2")), encode(Open(model="m"))])
def test_what_is_no_answer_is_told_so(path, said):
    with server(path, [lambda *_: said]), pytest.raises(EdgedError, match="speak"):
        session(path)


def test_the_memory_cannot_be_made_smaller():
    memory = SharedMemory(10)
    try:
        assert memory.size == MEGABYTE
        with pytest.raises(PermissionError):
            os.ftruncate(memory.descriptor, 4096)
    finally:
        memory.close()


def test_a_client_shares_memory_for_large_requests_only(path, tmp_path):
    model = Doubler()
    large = np.ones(100_000, dtype=np.float32)
    with (
        server(path, [model.open, model.infer, model.infer]) as played,
        Client(str(tmp_path / "nobody.sock"), tensor_path=str(path)) as edged,
    ):
        for _ in range(2):
            assert edged.infer("doubler", {"x": large, "words": ["w"]})["sum"].item() == 100_000
        with pytest.raises(DaemonUnreachableError):
            edged.infer("doubler", {"x": large[:10], "words": ["w"]})

    assert len(played.asked) == 3


def test_a_client_shares_memory_with_the_daemon_that_it_asks_everything_else(tmp_path):
    """Not with that of the system, where it was told of another one."""
    model = Doubler()
    with server(tmp_path / "tensor.sock", [model.open, model.infer]), Client(str(tmp_path / "edged.sock")) as edged:
        inputs = {"x": np.ones(100_000, dtype=np.float32), "words": ["w"]}
        assert edged.infer("doubler", inputs)["sum"].item() == 100_000


def test_memory_that_is_too_small_is_replaced_by_larger(path, tmp_path):
    model, second = Doubler(), Doubler()
    with (
        server(path, [model.open, model.infer], [second.open, second.infer]),
        Client(str(tmp_path / "nobody.sock"), tensor_path=str(path)) as edged,
    ):
        for count in (100_000, 5_000_000):
            inputs = {"x": np.ones(count, dtype=np.float32), "words": ["w"]}
            assert edged.infer("doubler", inputs, outputs=["sum"])["sum"].item() == count


def test_an_output_larger_than_expected_is_asked_for_again_with_room(path, tmp_path):
    needed = 20 * MEGABYTE
    error = Error(status=400, code="tensor-invalid", message="No room.", request=1, output=0, needed_bytes=needed)
    model, second = Doubler(), Doubler()
    large = {"x": np.ones(100_000, dtype=np.float32), "words": ["w"]}
    with (
        server(path, [model.open, lambda *_: encode(error)], [second.open, second.infer]),
        Client(str(tmp_path / "nobody.sock"), tensor_path=str(path)) as edged,
    ):
        assert edged.infer("doubler", large)["sum"].item() == 100_000

    assert len(second.memory) > needed


def test_a_session_is_not_used_again_after_an_interruption(path, tmp_path, monkeypatch):
    """The answer to what was interrupted is still on its connection, and comes into its memory."""
    model, second = Doubler(), Doubler()
    is_said = threading.Event()
    large = np.ones(100_000, dtype=np.float32)

    def infer(message, descriptors):
        yield model.infer(message, descriptors)
        is_said.set()

    def interrupt(*_):
        is_said.wait(20)
        raise KeyboardInterrupt

    with (
        server(path, [model.open, infer], [second.open, second.infer]),
        Client(str(tmp_path / "nobody.sock"), tensor_path=str(path)) as edged,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(Conversation, "_answer_to", interrupt)
            with pytest.raises(KeyboardInterrupt):
                edged.infer("doubler", {"x": large, "words": ["w"]})
        assert edged.infer("doubler", {"x": large * 2, "words": ["w"]})["sum"].item() == 200_000


def test_more_time_and_less_urgency_than_can_be_said_are_as_much_as_can_be(path):
    model = Doubler()
    with server(path, [model.open, model.infer]) as played, session(path) as doubler:
        doubler.infer({"x": np.ones(1, dtype=np.float32), "words": ["w"]}, timeout_s=7200.0, priority=70_000)

    request = decode_to_server(played.asked[1])
    assert (request.deadline_us, request.priority) == (0xFFFF_FFFF, 0xFFFF)


def test_a_call_can_be_asked_as_it_is(path):
    model = Doubler()
    with server(path, [model.open, model.infer]) as played, session(path) as doubler:
        doubler.ask(
            Call(
                inputs={"x": np.ones(1, dtype=np.float32), "words": np.array([b"w"], dtype=object)},
                timeout_s=25.0,
                priority=2,
                sequence=9,
                is_start=True,
            )
        )

    request = decode_to_server(played.asked[1])
    assert (request.deadline_us, request.priority, request.sequence, request.is_start) == (25_000_000, 2, 9, True)
