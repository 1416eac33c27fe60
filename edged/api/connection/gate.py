"""One listening side: makes the guards of its connections, knows them, and sees them out."""

import asyncio
import contextlib
from collections.abc import Callable

from edged.api.connection.guard import Guard
from edged.api.http.inbox import SCRATCH_BYTES
from edged.api.http.line import LINGER_S
from edged.api.oip.infer import Services


class Gate:
    """A protocol factory; fulfils ``edged.api.connection.guard.Side``.

    Args:
        make_inner: Makes protocols of the server library.
        services: What inferences need; its limits are those of the connections, too.
    """

    def __init__(self, make_inner: Callable[[], asyncio.Protocol], services: Services) -> None:
        self.make_inner = make_inner
        self.services = services
        self.scratch = bytearray(SCRATCH_BYTES)
        self._guards: set[Guard] = set()
        self._unheard: set[Guard] = set()
        self._changed = asyncio.Event()

    def __call__(self) -> Guard:
        """Return the protocol for a new connection."""
        return Guard(self)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._guards)

    def entered(self, guard: Guard) -> bool:
        """Note a connection; returns whether there was room for it."""
        self._guards.add(guard)
        self._unheard.add(guard)
        return len(self._guards) <= self.services.limits.current.max_connections

    def heard(self, guard: Guard) -> None:
        """Note that its peer has asked something, or will not."""
        self._unheard.discard(guard)
        self._changed.set()

    def left(self, guard: Guard) -> None:
        """Note its end."""
        self._guards.discard(guard)
        self.heard(guard)

    async def see_out(self, *, hear_s: float, drain_s: float) -> None:
        """Answer whoever was let in, and close every connection; to be called once nobody is let in any more.

        Args:
            hear_s: How long whoever connected just before, and would otherwise be turned away in mid-sentence, may take to ask.
            drain_s: How long requests under way may take, counted from now, before they are abandoned.
        """
        end_s = asyncio.get_running_loop().time() + drain_s
        await self._until(lambda: not self._unheard, timeout_s=hear_s)
        for guard in tuple(self._guards):
            guard.finish()
        await self._until(lambda: not self._guards, timeout_s=end_s - asyncio.get_running_loop().time())
        for guard in tuple(self._guards):
            guard.give_up()
        await self._until(lambda: not self._guards, timeout_s=LINGER_S)

    async def _until(self, is_true: Callable[[], bool], *, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not is_true():
                    self._changed.clear()
                    await self._changed.wait()
