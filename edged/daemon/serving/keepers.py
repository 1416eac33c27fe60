"""The tasks that keep the workers of served variants running, from the moment in which one is served until it has finished what it took."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from edged.daemon.serving.served import Served
from edged.ids import ModelName

RETIRE_MARGIN_S: Final = 10.0
"""Beyond the longest time a request may take: for a run that does not stop when it is told to."""


class Keepers:
    """Everything that has a worker. An asynchronous context manager: what is kept ends when it is left.

    Args:
        longest_s: Returns the longest time that a request may take.
        let_go: Waits until nobody else has anything under way in the worker of a variant that answers no more.
    """

    def __init__(self, *, longest_s: Callable[[], float], let_go: Callable[[Served, float], Awaitable[None]]) -> None:
        self._longest_s = longest_s
        self._let_go = let_go
        self._tasks: dict[Served, asyncio.Task[None]] = {}
        self._ending: dict[Served, asyncio.Task[None]] = {}
        self._helpers: set[asyncio.Task[None]] = set()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (*self._tasks.values(), *self._helpers):
            task.cancel()
        if isinstance(error, asyncio.CancelledError):
            await self._group.__aexit__(kind, error, trace)
        else:
            # What went wrong inside is not the tasks' error: it goes on as it is, in no exception group.
            await self._group.__aexit__(None, None, None)

    def keep(self, served: Served) -> None:
        """Replace the worker of a variant whenever it is lost, until it is retired."""
        name = f"worker for {served.loadable.bundle.manifest.model}"
        self._tasks[served] = self._group.create_task(served.keep_running(), name=name)

    def of(self, model: ModelName) -> Sequence[Served]:
        """Return everything of a model that is kept, what still finishes what it took included."""
        return [served for served in self._tasks if served.loadable.bundle.manifest.model == model]

    def retire(self, served: Served) -> None:
        """Have a variant finish what it took and then end, without waiting for that."""
        task = self._begin(self._drain_and_end(served), f"retire {served.loadable.bundle.manifest.model}")
        self._ending[served] = task
        task.add_done_callback(lambda _: self._ending.pop(served))

    async def gone(self, retired: Iterable[Served]) -> None:
        """Return once what was retired has ended; its memory is free then."""
        tasks = [self._ending[served] for served in retired if served in self._ending]
        if tasks:
            await asyncio.wait(tasks)

    def help(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do something beside, until it is done or everything ends."""
        _ = self._begin(work, name)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._helpers.add(task)
        task.add_done_callback(self._helpers.discard)
        return task

    async def _drain_and_end(self, served: Served) -> None:
        timeout_s = self._longest_s() + RETIRE_MARGIN_S
        await asyncio.gather(served.drain(timeout_s=timeout_s), self._let_go(served, timeout_s))
        keeper = self._tasks.pop(served, None)
        if keeper is None:
            await served.close()
        else:
            keeper.cancel()
            await asyncio.wait([keeper])
