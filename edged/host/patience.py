"""How long this process waits for another one, in time that both of them had.

A machine that is paused (a virtual one by its host, or the daemon and its workers by the freezer of their cgroup) goes on where it was, but
its clock has gone on meanwhile. Nobody is late because of that: a model that was loading then is no model that cannot be loaded.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

LOOK_S: Final = 1.0
"""From one look at the clock to the next, at most."""
LEAST_LOOKS: Final = 8
LATE: Final = 2.0
"""So many times what lies between two looks counts as having passed: on a busy machine they come late, after a pause very late."""


@asynccontextmanager
async def patience(timeout_s: float) -> AsyncIterator[None]:
    """Limit how long something may take, as ``asyncio.timeout`` does.

    Args:
        timeout_s: Seconds, without those in which this process was stopped for long.

    Raises:
        TimeoutError: They have passed.
    """
    loop = asyncio.get_running_loop()
    left_s, seen_s = timeout_s, loop.time()
    look_s = min(LOOK_S, timeout_s / LEAST_LOOKS)
    timer: asyncio.Handle
    async with asyncio.timeout(None) as limit:

        def look() -> None:
            nonlocal left_s, seen_s, timer
            now_s = loop.time()
            left_s -= min(now_s - seen_s, LATE * look_s)
            seen_s = now_s
            if left_s <= 0:
                limit.reschedule(now_s)
            else:
                timer = loop.call_later(min(left_s, look_s), look)

        timer = loop.call_soon(look)
        try:
            yield
        finally:
            timer.cancel()
