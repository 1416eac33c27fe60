"""What the blocking client does with answers, errors, and connections that were closed in between."""

import json
import socket
import threading

import numpy as np
import pytest

from edged.client import Client
from edged.client.sync import LARGE_BYTES
from edged.errors import (
    DaemonUnreachableError,
    DeadlineError,
    EdgedError,
    ModelUnknownError,
    QuotaError,
    SequenceError,
    UnavailableError,
)
from tests.fakes.scripted_server import ScriptedServer

ANSWER = {
    "model_name": "adder",
    "model_version": "1.0.0",
    "parameters": {"variant": "adder-1.0.0-fp32-any"},
    "outputs": [{"name": "sum", "datatype": "FP32", "shape": [1], "data": [6.0]}],
}
INPUTS = {"x": np.array([1, 2, 3], dtype=np.float32)}


def reply(document, *, status="200 OK", headers=""):
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return lambda _message, _descriptors: head.encode() + body


def problem(code, *, status, headers="", **members):
    document = {"type": f"urn:edged:error:{code}", "detail": "No.", "error": "No.", **members}
    return reply(document, status=status, headers=headers)


def hang_up(_message, _descriptors):
    return None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "edged.sock"


def client(path):
    return Client(str(path), tensor_path=None)


def test_answers_are_arrays_by_name(path):
    with ScriptedServer(path, [reply(ANSWER)]) as server, client(path) as edged:
        result = edged.infer("adder", INPUTS)

    assert result["sum"].tolist() == [6.0]
    assert (result.version, result.variant) == ("1.0.0", "adder-1.0.0-fp32-any")
    assert server.asked[0].endswith(INPUTS["x"].tobytes())


WISHES = {"timeout_s": 5.0, "priority": 2, "is_background": True, "may_offload": True, "may_cache": False}
"""Everything that an app may say of a request, in the words of Python."""
PARAMETERS = {
    "binary_data_output": True,
    "timeout": 5_000_000,
    "priority": 2,
    "request_class": "background",
    "offload": True,
    "cache": False,
}
"""The same in those of the protocol."""


def parameters_of(message):
    head, _, body = message.partition(b"\r\n\r\n")
    (length,) = (line.split(b": ")[1] for line in head.split(b"\r\n") if line.startswith(b"inference-header"))
    return json.loads(body[: int(length)])["parameters"]


def test_what_an_app_says_of_a_request_is_sent(path):
    with ScriptedServer(path, [reply(ANSWER)]) as server, client(path) as edged:
        edged.infer("adder", INPUTS, **WISHES)

    assert parameters_of(server.asked[0]) == PARAMETERS


def test_a_large_request_that_may_leave_the_device_is_not_sent_where_nothing_leaves_it(path, tmp_path):
    """Who shares memory with a worker is answered by that worker."""
    large = {"x": np.zeros(LARGE_BYTES, dtype=np.float32)}
    with (
        ScriptedServer(path, [reply(ANSWER)]) as server,
        ScriptedServer(tmp_path / "tensor.sock", kind=socket.SOCK_SEQPACKET),
        Client(str(path), tensor_path=str(tmp_path / "tensor.sock")) as edged,
    ):
        edged.infer("adder", large, may_offload=True)

    assert parameters_of(server.asked[0])["offload"] is True


def test_a_large_request_of_a_sequence_with_a_name_is_sent_where_sequences_have_names(path, tmp_path):
    """On the tensor socket they have numbers."""
    large = {"x": np.zeros(LARGE_BYTES, dtype=np.float32)}
    with (
        ScriptedServer(path, [reply(ANSWER)]) as server,
        ScriptedServer(tmp_path / "tensor.sock", kind=socket.SOCK_SEQPACKET),
        Client(str(path), tensor_path=str(tmp_path / "tensor.sock")) as edged,
    ):
        edged.sequence("adder", id="microphone").infer(large)

    assert parameters_of(server.asked[0])["sequence_id"] == "microphone"


def test_one_connection_serves_many_requests(path):
    with ScriptedServer(path, [reply(ANSWER)] * 3), client(path) as edged:
        assert [edged.infer("adder", INPUTS)["sum"].item() for _ in range(3)] == [6.0, 6.0, 6.0]


def test_a_connection_that_was_closed_meanwhile_is_made_anew(path):
    """The daemon closes idle connections, and all of them when it restarts."""
    with ScriptedServer(path, [reply(ANSWER)], [reply(ANSWER)]) as server, client(path) as edged:
        edged.infer("adder", INPUTS)
        assert edged.infer("adder", INPUTS)["sum"].item() == 6.0

    assert len(server.asked) == 2


def test_what_belongs_to_a_sequence_is_never_sent_twice(path):
    """The daemon may have moved the state on before the connection broke."""
    with ScriptedServer(path, [reply(ANSWER), hang_up]) as server, client(path) as edged:
        sequence = edged.sequence("adder", id=7)
        sequence.infer(INPUTS)
        with pytest.raises(DaemonUnreachableError):
            sequence.infer(INPUTS)

    assert [b'"sequence_start":true' in message for message in server.asked] == [True, False]


def test_a_lost_sequence_can_begin_again(path):
    gone = problem("sequence-unknown", status="409 Conflict")
    with ScriptedServer(path, [reply(ANSWER), gone, reply(ANSWER)]) as server, client(path) as edged:
        sequence = edged.sequence("adder", id=7)
        sequence.infer(INPUTS)
        with pytest.raises(SequenceError):
            sequence.infer(INPUTS)
        sequence.restart()
        sequence.infer(INPUTS)

    assert b'"sequence_start":true' in server.asked[2]


def test_a_daemon_that_hangs_up_on_a_new_connection_is_unreachable(path):
    with ScriptedServer(path, [hang_up]), client(path) as edged, pytest.raises(DaemonUnreachableError):
        edged.infer("adder", INPUTS)


def test_nobody_at_the_socket_is_told_with_its_path(path):
    with client(path) as edged, pytest.raises(DaemonUnreachableError, match=str(path)):
        edged.infer("adder", INPUTS)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("model-unknown", "404 Not Found", ModelUnknownError),
        ("quota-exceeded", "429 Too Many Requests", QuotaError),
        ("unavailable", "503 Service Unavailable", UnavailableError),
        ("deadline-exceeded", "504 Gateway Timeout", DeadlineError),
        ("something-new", "418 I'm a teapot", EdgedError),
    ],
)
def test_problems_come_back_as_the_errors_they_were(path, code, status, error):
    with (
        ScriptedServer(path, [problem(code, status=status)]),
        client(path) as edged,
        pytest.raises(EdgedError) as caught,
    ):
        edged.infer("adder", INPUTS)

    assert type(caught.value) is error


def test_when_to_ask_again_is_part_of_the_error(path):
    answer = problem(
        "quota-exceeded",
        status="429 Too Many Requests",
        headers="Retry-After: 3\r\n",
        facts={"limit": "limits.rate_per_s"},
    )
    with ScriptedServer(path, [answer]), client(path) as edged, pytest.raises(QuotaError) as caught:
        edged.infer("adder", INPUTS)

    assert (caught.value.retry_after_s, caught.value.limit) == (3, "limits.rate_per_s")


def test_an_answer_that_never_comes_ends_with_the_deadline(path, monkeypatch):
    monkeypatch.setattr("edged.client.sync.GRACE_S", 0.01)
    is_over = threading.Event()

    def wait(_message, _descriptors):
        is_over.wait(20)

    with ScriptedServer(path, [wait]), client(path) as edged:
        with pytest.raises(DeadlineError):
            edged.infer("adder", INPUTS, timeout_s=0.01)
        is_over.set()


def test_the_connection_is_not_used_again_after_a_deadline(path, monkeypatch):
    """What comes on it later would be taken for the answer to the next request."""
    monkeypatch.setattr("edged.client.sync.GRACE_S", 0.01)
    is_over = threading.Event()

    def late(_message, _descriptors):
        is_over.wait(20)

    with ScriptedServer(path, [late], [reply(ANSWER)]), client(path) as edged:
        with pytest.raises(DeadlineError):
            edged.infer("adder", INPUTS, timeout_s=0.01)
        is_over.set()
        assert edged.infer("adder", INPUTS)["sum"].item() == 6.0


def test_the_connection_is_not_used_again_after_an_interruption(path, monkeypatch):
    """The answer to what was interrupted is still on it."""
    is_said = threading.Event()

    def five(message, descriptors):
        yield reply(ANSWER | {"outputs": [ANSWER["outputs"][0] | {"data": [5.0]}]})(message, descriptors)
        is_said.set()

    def interrupt(_socket, _most):
        is_said.wait(20)
        raise KeyboardInterrupt

    with ScriptedServer(path, [five], [reply(ANSWER)]), client(path) as edged:
        with monkeypatch.context() as patch:
            patch.setattr("edged.client.sync._receive", interrupt)
            with pytest.raises(KeyboardInterrupt):
                edged.infer("adder", INPUTS)
        assert edged.infer("adder", INPUTS)["sum"].item() == 6.0


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n\r\n", b"x" * 70000])
def test_what_is_no_http_is_told_so(path, said):
    with (
        ScriptedServer(path, [lambda _message, _descriptors: said]),
        client(path) as edged,
        pytest.raises(EdgedError, match="HTTP"),
    ):
        edged.infer("adder", INPUTS)
