"""A loop in a thread of the test, for clients that block or bring a loop of their own."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def in_thread(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Hold an asynchronous context open on a loop of its own while this one is open; what it yields is used from both threads."""
    held: Future[tuple[T, Callable[[], object]]] = Future()

    async def hold() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with make() as value:
            held.set_result((value, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as exc:
            if held.done():
                raise
            held.set_exception(exc)

    thread = Thread(target=run, name="server")
    thread.start()
    try:
        value, release = held.result()
        try:
            yield value
        finally:
            release()
    finally:
        thread.join()
