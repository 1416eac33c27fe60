"""``edgectl events`` against real streams: reading, coming back, and giving up."""

import pytest

from edged.api.event_log import Events
from edged.cli import event_stream
from edged.cli.event_stream import EventStream
from edged.errors import DaemonUnreachableError, NotPermittedError, RequestError
from tests.fakes.device_routes import device_routes
from tests.fakes.gates import short_directory
from tests.fakes.raw_http import running
from tests.fakes.threads import in_thread


@pytest.fixture
def directory():
    with short_directory() as directory:
        yield directory


def serving(directory, events):
    """Serve these events in a thread of their own; what happens is set before, because a ring is for one loop."""
    return in_thread(lambda: running(directory / "s", routes=device_routes(events=events)))


def told(*types):
    events = Events(epoch="a1")
    for number, type_ in enumerate(types, 1):
        events.publish(type_, {"number": number})
    return events


def test_what_is_known_is_read_to_its_end(directory):
    with serving(directory, told("slot", "context", "slot")):
        read = list(EventStream(str(directory / "s"), since="a1-0", follows=False))
        slots = list(EventStream(str(directory / "s"), since="a1-0", types="slot", follows=False))

    assert [(event.id, event.type, event.data) for event in read] == [
        ("a1-1", "slot", '{"number":1}'),
        ("a1-2", "context", '{"number":2}'),
        ("a1-3", "slot", '{"number":3}'),
    ]
    assert [event.id for event in slots] == ["a1-1", "a1-3"]


def test_a_stream_that_ended_is_taken_up_again_where_it_was(directory, monkeypatch):
    monkeypatch.setattr(event_stream, "RETRY_S", 0.0)
    short, long = told("slot", "slot"), told("slot", "slot", "update")
    stream = iter(EventStream(str(directory / "s"), since="a1-0"))
    read = []
    for events in (short, long):
        events.close()
        with serving(directory, events):
            while not read or read[-1].type != "stopping":
                read.append(next(stream))
            read.pop()
        (directory / "s").unlink()

    assert [event.id for event in read] == ["a1-1", "a1-2", "a1-3"]


def test_a_daemon_that_was_started_anew_says_what_it_does_not_know(directory, monkeypatch):
    """The daemon's end of the stream, then another daemon's life that knows nothing of the first."""
    monkeypatch.setattr(event_stream, "RETRY_S", 0.0)
    events = told("slot", "slot")
    events.close()
    stream = iter(EventStream(str(directory / "s"), since="a1-0"))
    with serving(directory, events):
        assert [next(stream).type for _ in range(3)] == ["slot", "slot", "stopping"]
    (directory / "s").unlink()
    later = Events(epoch="b2")
    later.publish("update", {})
    later.close()
    with serving(directory, later):
        again = [next(stream) for _ in range(3)]

    assert [(event.type, event.id) for event in again] == [("missed", ""), ("update", "b2-1"), ("stopping", "")]


def test_a_daemon_that_never_answered_is_not_waited_for(directory):
    with pytest.raises(DaemonUnreachableError):
        next(iter(EventStream(str(directory / "s"))))


def test_a_daemon_that_does_not_come_back_is_given_up(directory, monkeypatch):
    monkeypatch.setattr(event_stream, "RETRY_S", 0.0)
    monkeypatch.setattr(event_stream, "GIVE_UP_AFTER_S", 0.01)
    events = told("slot")
    events.close()
    stream = iter(EventStream(str(directory / "s"), since="a1-0"))
    with serving(directory, events):
        next(stream)
        next(stream)

    (directory / "s").unlink()
    with pytest.raises(DaemonUnreachableError):
        next(stream)


def test_a_refusal_is_the_error_that_it_is_there(directory):
    with serving(directory, told()), pytest.raises(RequestError, match="no events of type"):
        next(iter(EventStream(str(directory / "s"), types="slots")))


def test_a_socket_that_may_not_be_opened_says_so(directory, monkeypatch):
    def refuse(_self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(event_stream.UnixConnection, "connect", refuse)
    with pytest.raises(NotPermittedError):
        next(iter(EventStream(str(directory / "s"))))
