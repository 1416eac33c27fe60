"""Which requests are copied for a candidate, and what that costs whoever asked them."""

import asyncio

import pytest

from edged.daemon.serving.crowd import DAEMON
from edged.daemon.shadow import mirror
from edged.daemon.shadow.mirror import MOST_BYTES, MOST_SEQUENCES, MOST_WAITING, Mirror
from edged.errors import BackendError, UnavailableError
from edged.runtime.calls import Request, SequenceStep
from edged.runtime.memory import SharedMemory
from edged.runtime.tensors import InferResult, Tensor
from tests.fakes.requests import FAR_S, echoes, request_of
from tests.fakes.served_workers import settle


class Desk:
    """A mirror, and what it says."""

    def __init__(self, *, share: float = 1.0, draws=()) -> None:
        self.share = share
        self.arrived = self.shed = 0
        rest = iter(draws)
        self.mirror = Mirror(
            share=lambda: self.share, arrived=self._arrive, shed=self._note_shed, draw=lambda: next(rest, 0.0)
        )

    def _arrive(self) -> None:
        self.arrived += 1

    def _note_shed(self) -> None:
        self.shed += 1

    async def show(self, *requests: Request) -> None:
        """Have requests end well, one after the other."""
        for request in requests:
            self.mirror.finished(request, *echoes([request]))
        await settle()

    def taken(self) -> list[bytes]:
        """What there is to be asked for, taken and done with."""
        found: list[bytes] = []
        while shown := self.mirror.take():
            found.append(bytes(shown.request.inputs[0].data))
            self.mirror.done(shown)
        return found


def step(data: bytes, id_: int | str = 1, *, uid: int = 7, start: bool = False, end: bool = False) -> Request:
    return Request(
        inputs=request_of(data).inputs,
        deadline_s=FAR_S,
        uid=uid,
        sequence=SequenceStep(id=id_, is_start=start, is_end=end),
    )


async def test_share_of_the_requests_is_chosen():
    desk = Desk(share=0.25, draws=[0.1, 0.3, 0.9, 0.24, 0.25])
    await desk.show(*(request_of(data) for data in (b"a", b"b", b"c", b"d", b"e")))

    assert desk.taken() == [b"a", b"d"]
    assert (desk.arrived, desk.shed) == (2, 0)


async def test_only_what_was_answered_and_what_apps_asked_is_chosen():
    desk = Desk()
    for outcome in (BackendError("a node failed"), UnavailableError("its caller left")):
        desk.mirror.finished(request_of(b"x"), outcome)
    await desk.show(request_of(b"k", uid=DAEMON))

    assert desk.taken() == []
    assert desk.shed == 0


async def test_nothing_is_said_before_the_caller_has_its_answer():
    """Whoever is told may begin a run at once, and the caller would wait for that."""
    desk = Desk()
    request = request_of(b"x")
    desk.mirror.finished(request, *echoes([request]))

    assert desk.arrived == 0
    await asyncio.sleep(0)
    assert desk.arrived == 1


async def test_more_than_there_is_room_for_is_shed():
    desk = Desk()
    await desk.show(*(request_of(b"x") for _ in range(MOST_WAITING + 3)))
    assert desk.shed == 3

    shown = desk.mirror.take()
    await desk.show(request_of(b"y"))
    assert desk.shed == 4, "what the candidate has takes room, too"
    desk.mirror.done(shown)
    await desk.show(request_of(b"z"))
    assert desk.shed == 4
    assert desk.taken()[-1] == b"z"


async def test_request_larger_than_the_room_is_shed(monkeypatch):
    monkeypatch.setattr(mirror, "MOST_BYTES", 10)
    desk = Desk()
    await desk.show(request_of(b"123456"), request_of(b"12345"), request_of(b"1"))

    assert desk.shed == 2, "inputs and answers count, and those of five bytes are all there is room for"
    assert desk.taken() == [b"12345"]
    assert MOST_BYTES > 1 << 20


async def test_memory_of_a_large_request_is_held_only_until_it_is_copied():
    memory = SharedMemory(max_bytes=lambda: 1 << 20)
    segment = memory.take(4)
    segment.view[:4] = b"ping"
    tensor = Tensor(name="x", dtype="UINT8", shape=(4, 1), data=segment.view[:4], at=0)
    request = Request(inputs=(tensor,), deadline_s=FAR_S, memory=segment)
    desk = Desk()
    desk.mirror.finished(request, InferResult(outputs=(), run_s=0.001))
    segment.release()  # the caller has its answer

    assert memory.taken_bytes, "nobody else gets it yet"
    await settle()
    assert not memory.taken_bytes
    segment.view[:4] = b"pong"
    shown = desk.mirror.take()
    assert shown.request.memory is None
    assert [(bytes(tensor.data), tensor.at) for tensor in shown.request.inputs] == [(b"ping", None)]
    memory.trim()


async def test_memory_is_given_back_also_when_the_mirror_is_closed_meanwhile():
    memory = SharedMemory(max_bytes=lambda: 1 << 20)
    segment = memory.take(1)
    tensor = Tensor(name="x", dtype="UINT8", shape=(1, 1), data=segment.view[:1], at=0)
    desk = Desk()
    desk.mirror.finished(
        Request(inputs=(tensor,), deadline_s=FAR_S, memory=segment), InferResult(outputs=(), run_s=0.001)
    )
    segment.release()
    desk.mirror.close()
    await settle()

    assert not memory.taken_bytes
    assert desk.arrived == 0
    memory.trim()


async def test_sequence_is_chosen_with_its_first_request_and_then_whole():
    desk = Desk(share=0.5, draws=[0.1, 0.9, 0.9, 0.1])
    await desk.show(step(b"a", 1, start=True), step(b"b", 2, start=True), step(b"c", 1), step(b"d", 2), step(b"e", 1))

    assert desk.taken() == [b"a", b"c", b"e"]


async def test_sequence_that_had_begun_before_is_left_out():
    desk = Desk()
    await desk.show(step(b"b"), step(b"c"), step(b"a", start=True), step(b"d"))

    assert desk.taken() == [b"a", b"d"]


async def test_sequences_of_different_callers_are_different():
    desk = Desk()
    await desk.show(step(b"a", uid=1, start=True), step(b"b", uid=2), step(b"c", uid=1))

    assert desk.taken() == [b"a", b"c"]


@pytest.mark.parametrize("is_end", [True, False])
async def test_sequence_is_followed_until_it_ends_or_one_of_its_requests_fails(is_end):
    desk = Desk()
    await desk.show(step(b"a", start=True))
    if is_end:
        await desk.show(step(b"b", end=True))
    else:
        desk.mirror.finished(step(b"b"), BackendError("a node failed"))
    await desk.show(step(b"c"))

    assert desk.taken() == ([b"a", b"b"] if is_end else [b"a"])


async def test_sequence_that_there_is_no_room_for_is_given_up():
    desk = Desk()
    await desk.show(step(b"a", start=True), *(request_of(b"x") for _ in range(MOST_WAITING - 1)), step(b"b"))
    assert desk.shed == 2, "the one that came, and the one that waited: alone it would only use up the candidate's time"

    assert b"a" not in desk.taken()
    await desk.show(step(b"c"))
    assert desk.taken() == []
    await desk.show(*(request_of(b"x") for _ in range(MOST_WAITING)))
    assert desk.shed == 2, "what was dropped takes no room"


async def test_as_many_sequences_are_followed_as_a_worker_keeps_for_a_caller():
    desk = Desk()
    for id_ in range(MOST_SEQUENCES + 1):
        await desk.show(step(b"a", id_, start=True))
        desk.taken()
    await desk.show(step(b"b", MOST_SEQUENCES), step(b"c", 0))

    assert desk.taken() == [b"c"]


async def test_sequences_that_are_given_up_do_not_touch_others():
    desk = Desk()
    await desk.show(step(b"a", 1, start=True), request_of(b"x"), step(b"b", 2, start=True))
    desk.mirror.give_up((7, 1))
    await desk.show(step(b"c", 1), step(b"d", 2))
    assert desk.taken() == [b"x", b"b", b"d"]

    await desk.show(step(b"e", 2), request_of(b"y"))
    desk.mirror.give_up_all()
    await desk.show(step(b"f", 2))
    assert desk.taken() == [b"y"]
