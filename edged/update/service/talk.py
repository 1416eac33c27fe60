"""What a refresh process says, until it has found something or is of no more use, and between that the question whether it still is.

It is listened to also while the host is asked, and while another refresh looks at what the host has (``edged.update.service.watches``). On
a slow network that takes minutes, and a socket holds less than 200 steps: a download would stand still until somebody took them.
"""

import socket
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from edged.clock import Clock
from edged.update.protocol.messages import Finding, MessageError, Milestone, Step, Task, decode_answer, encode
from edged.update.protocol.phases import Report
from edged.update.waits.line import BLOCK_BYTES, Line
from edged.update.waits.waiting import Waits

MAX_LINE_BYTES: Final = 4 << 20


class Watch(Protocol):
    """Looks, while a refresh runs, at what it does and at the host; ``edged.update.service.watches``."""

    def wait_s(self) -> float:
        """Return the seconds until the host is to be asked again."""
        ...

    def goes_on(self, milestone: Milestone) -> bool:
        """Take note of how far the refresh is, also in the middle of ``is_outdated``; false when it is to be ended."""
        ...

    def is_outdated(self) -> bool:
        """Ask the host; true when the refresh is to be ended for what it says."""
        ...


class Talk:
    """The talk with one refresh. Fulfils ``edged.update.waits.waiting.Attended``.

    Args:
        connection: To the refresh; closed by others.
        waits: Where to wait for it.
        clock: Monotonic.
        watch: Told how far it is, and asked now and then.
        report: Told each step.
        silence_s: Longest time without a word.
    """

    def __init__(
        self, connection: socket.socket, waits: Waits, clock: Clock, *, watch: Watch, report: Report, silence_s: float
    ) -> None:
        self._connection = connection
        self._line = Line(connection, waits)
        self._waits = waits
        self._clock = clock
        self._watch = watch
        self._report = report
        self._silence_s = silence_s
        self._heard_s = clock.monotonic_s()
        self._ask_s = self._heard_s + watch.wait_s()
        self._rest = b""
        self._is_over = False
        self._found: Finding | None = None
        self._trouble: OSError | MessageError | None = None

    def run(self, task: Task) -> Finding | None:
        """Say what is to be done, and listen until the end.

        Returns:
            What the refresh found; None when the watch wants it to be ended.

        Raises:
            TimeoutError: It said nothing for too long.
            MessageError: It said what is no message.
            OSError: The connection broke, or the refresh closed it.
        """
        self._line.send(encode(task), deadline_s=self._clock.monotonic_s() + self._silence_s)
        while not self._is_over:
            self._ask_if_due()
            self._listen()
        if self._trouble is not None:
            raise self._trouble
        return self._found

    def sockets(self) -> Sequence[socket.socket]:
        """Return what is to be looked at; see ``edged.update.waits.waiting.Attended``."""
        return [] if self._is_over else [self._connection]

    def attend(self, readable: Collection[socket.socket]) -> None:
        """Take what has come. What is wrong with it is raised later, by ``run``: who waits just now waits for something else."""
        if not readable:
            return
        try:
            self._take(self._connection.recv(BLOCK_BYTES))
        except BlockingIOError:
            return
        except (OSError, MessageError) as exc:
            self._is_over, self._trouble = True, exc

    def _ask_if_due(self) -> None:
        if self._clock.monotonic_s() < self._ask_s:
            return
        with self._waits.attending(self):
            is_outdated = self._watch.is_outdated()
        self._is_over = self._is_over or is_outdated
        self._ask_s = self._clock.monotonic_s() + self._watch.wait_s()

    def _listen(self) -> None:
        """Wait for the next words, but no longer than until the host is to be asked."""
        if self._is_over:
            return
        try:
            self._take(self._line.receive(deadline_s=min(self._heard_s + self._silence_s, self._ask_s)))
        except TimeoutError:
            if self._clock.monotonic_s() >= self._heard_s + self._silence_s:
                raise

    def _take(self, block: bytes) -> None:
        if not block:
            raise ConnectionResetError("the refresh closed its end")
        self._heard_s = self._clock.monotonic_s()
        *texts, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise MessageError(f"a message of more than {MAX_LINE_BYTES} bytes")
        for text in texts:
            if not self._is_over:
                self._hear(text)

    def _hear(self, text: bytes) -> None:
        match decode_answer(text):
            case Finding() as finding:
                self._is_over, self._found = True, finding
            case Step(phase=phase, progress=progress):
                self._report(phase, progress)
            case milestone:
                self._is_over = not self._watch.goes_on(milestone)
