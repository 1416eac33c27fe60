"""The threads of a worker that do its work, and what they wait for.

One thread at a time waits for all sources together (``edged.worker.lead``), and takes the message of the one that has something; by
then another thread may wait, while the message is worked on. So messages of a source are taken in their order, and as many are worked on
at once as there are threads.

All threads start before there is any work, because a worker may not start any later. An error that nobody foresaw ends the process: a
thread that is missing would be noticed by nobody, while a worker that is missing is replaced.
"""

import mmap
import os
import select
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final, Protocol

from edged.runtime.wire import MAX_DATAGRAM_BYTES
from edged.worker.lead import Lead

STACK_BYTES: Final = 1 << 20
"""Of a thread. It counts against the worker's memory limit, used or not; ONNX Runtime needs far less of it in the thread that calls it."""


class Source(Protocol):
    """Where work comes from."""

    @property
    def is_serial(self) -> bool:
        """Whether a message is worked on within ``receive``, so that there is never more than one of this source's under way."""
        ...

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is work; it stays the same."""
        ...

    def receive(self, buffer: memoryview) -> Callable[[], None] | None:
        """Take one message, without waiting for one; only one thread is in here at a time.

        There may be none: a source that is removed and added again, or has a number that was another's before, is now and then asked
        for a message that somebody else has taken.

        Args:
            buffer: ``MAX_DATAGRAM_BYTES`` for the message, which belong to it until the work is done.

        Returns:
            The work, done by the same thread next; None when nothing will come any more.
        """
        ...

    def removed(self) -> None:
        """Note that nobody will ask for its messages any more; called once, when nobody is in ``receive`` or ever will be."""
        ...


class Pool:
    """Threads that do what comes from some sources.

    Args:
        threads: How many.
        failed: Called in a thread that ends because of an error nobody foresaw, which is being handled.
        is_short: Tells whether the next work can be expected to be so short that it is not worth waking another thread.
    """

    def __init__(
        self, *, threads: int, failed: Callable[[], None], is_short: Callable[[], bool] = lambda: False
    ) -> None:
        self._failed = failed
        self._lead = Lead(is_short)
        self._epoll = select.epoll()
        self._sources: dict[int, Source] = {}
        self._taking: set[int] = set()
        """Descriptors of sources that a thread takes a message from."""
        self._leaving: set[int] = set()
        """Those among them that are to be removed afterwards."""
        self._end = os.eventfd(0)
        self._epoll.register(self._end, select.EPOLLIN)
        self._lock = threading.Lock()
        self._left = threads
        self._threads = [
            threading.Thread(target=self._serve, name=f"run{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Start all threads."""
        previous = threading.stack_size(STACK_BYTES)
        try:
            for thread in self._threads:
                thread.start()
            self._lead.start()
        finally:
            threading.stack_size(previous)

    def add(self, source: Source) -> None:
        """Begin to take work from a source; at any time. When all threads have ended, it is removed at once."""
        descriptor = source.fileno()
        with self._lock:
            if self._left:
                self._sources[descriptor] = source
                self._epoll.register(descriptor, _events(source))
                return
        source.removed()

    def remove(self, source: Source) -> None:
        """Take no more work from a source; at any time. One that has ended by itself is gone already."""
        descriptor = source.fileno()
        with self._lock:
            if self._sources.get(descriptor) is not source:
                return
            if descriptor in self._taking:
                self._leaving.add(descriptor)
                return
            self._drop(descriptor)
        source.removed()

    def close(self) -> None:
        """Have every thread end as soon as it has done what it does; does not wait for that. Call it after ``start``.

        The last one removes the sources that are left.
        """
        with self._lock:
            if self._left:
                os.eventfd_write(self._end, 1)

    def _serve(self) -> None:
        try:
            # Anonymous memory, of which only what large messages touch is ever there.
            buffer = memoryview(mmap.mmap(-1, MAX_DATAGRAM_BYTES))
            while self._serve_as_leader(buffer):
                pass
        except BaseException:  # noqa: BLE001 - whatever it was, somebody has to know
            self._failed()
        finally:
            self._leave()

    def _serve_as_leader(self, buffer: memoryview) -> bool:
        """Wait for the lead, then serve for as long as this thread has it; False when there will be no more work."""
        self._lead.take()
        is_leading = True
        try:
            while is_leading:
                ((descriptor, _),) = self._epoll.poll(maxevents=1)
                if descriptor == self._end:
                    return False
                if (source := self._take(descriptor)) is None:
                    continue
                work = None if source.is_serial else self._receive(source, descriptor, buffer)
                if source.is_serial or work is not None:
                    term = self._lead.begin()
                    try:
                        if work is None:
                            self._receive(source, descriptor, buffer)
                        else:
                            work()
                    finally:
                        is_leading = self._lead.end(term)
        finally:
            if is_leading:
                self._lead.hand_on()
        return True

    def _leave(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left:
                return
            self._lead.close()
            left, self._sources = self._sources, {}
            self._epoll.close()
            os.close(self._end)
        for source in left.values():
            source.removed()

    def _take(self, descriptor: int) -> Source | None:
        with self._lock:
            source = self._sources.get(descriptor)
            # The source that was ready may be gone, and its number another's by now.
            if source is None or descriptor in self._taking:
                return None
            self._taking.add(descriptor)
            return source

    def _receive(self, source: Source, descriptor: int, buffer: memoryview) -> Callable[[], None] | None:
        work = source.receive(buffer)
        with self._lock:
            self._taking.discard(descriptor)
            is_over = work is None or descriptor in self._leaving
            if is_over:
                self._drop(descriptor)
            elif source.is_serial:
                self._epoll.modify(descriptor, _events(source))
        if is_over:
            source.removed()
        return work

    def _drop(self, descriptor: int) -> None:
        del self._sources[descriptor]
        self._leaving.discard(descriptor)
        self._epoll.unregister(descriptor)


def _events(source: Source) -> int:
    # Nobody is to be told of a serial one's next message before this one is done.
    return int(select.EPOLLIN | select.EPOLLONESHOT if source.is_serial else select.EPOLLIN)


def end_process() -> None:
    """End the process with status 1 after telling standard error about the exception being handled."""
    try:
        traceback.print_exc()
        sys.stderr.flush()
    finally:  # also without the memory to say why
        os._exit(1)
