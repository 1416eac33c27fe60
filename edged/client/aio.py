"""The client for asyncio."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike

from edged.client.call import Call, Result, to_array
from edged.client.http import HEAD_END, MAX_HEAD_BYTES, Head, check, read_head, read_result, write_get, write_infer
from edged.client.sync import APP_SOCKET, GRACE_S, TIMEOUT_S
from edged.client.unreachable import unreachable
from edged.errors import DeadlineError, EdgedError

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AsyncClient:
    """As ``Client``, for tasks: any number of them may ask at once, each over a connection of its own from a pool.

    A task that is cancelled hangs up, upon which the daemon stops what it asked for.

    Args:
        path: The daemon's socket for apps.
        max_idle: Connections that are kept for later.
    """

    def __init__(self, path: str = APP_SOCKET, *, max_idle: int = 8) -> None:
        self.path = path
        self._max_idle = max_idle
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop()[1].close()

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, ArrayLike | bytes | str],
        *,
        version: str | None = None,
        outputs: Sequence[str] = (),
        timeout_s: float | None = None,
        priority: int = 0,
        is_background: bool = False,
        may_offload: bool = False,
        may_cache: bool = True,
    ) -> Result:
        """Ask a model once; as ``Client.infer``."""
        arrays = {name: to_array(name, value) for name, value in inputs.items()}
        call = Call(
            inputs=arrays,
            outputs=outputs,
            timeout_s=timeout_s,
            priority=priority,
            is_background=is_background,
            may_offload=may_offload,
            may_cache=may_cache,
        )
        return await self.ask(model, call, version=version)

    async def ask(self, model: str, call: Call, *, version: str | None = None) -> Result:
        """Ask with everything a call can say, a step of a sequence among it; see ``Client.infer`` for what is raised."""
        parts = write_infer(model, version, call)
        return read_result(*await self._exchange(parts, timeout_s=call.timeout_s, may_repeat=not call.sequence))

    async def models(self) -> Sequence[Mapping[str, Any]]:
        """Return what models there are, as ``/edged/v1/models`` describes them."""
        models: Sequence[Mapping[str, Any]] = (await self.get("/edged/v1/models"))["models"]
        return models

    async def flags(self) -> Mapping[str, bool | int | float | str]:
        """Return the fleet's feature flags with their values on this device; as ``Client.flags``."""
        flags: Mapping[str, bool | int | float | str] = (await self.get("/edged/v1/flags"))["flags"]
        return flags

    async def get(self, path: str) -> Any:
        """Read any of the daemon's documents."""
        head, body = await self._exchange([write_get(path)], timeout_s=None, may_repeat=True)
        check(head, body)
        return json.loads(body)

    async def _exchange(
        self, parts: Sequence[bytes | memoryview], *, timeout_s: float | None, may_repeat: bool
    ) -> tuple[Head, bytes]:
        end_s = time.monotonic() + (TIMEOUT_S if timeout_s is None else timeout_s + GRACE_S)
        is_new = not self._idle
        try:
            async with asyncio.timeout(end_s - time.monotonic()):
                return await self._exchange_once(parts)
        except TimeoutError as exc:
            raise DeadlineError(f"No answer at {self.path} in time.", hint="Allow more time, or ask less.") from exc
        except (ConnectionError, EOFError) as exc:
            # The daemon closes idle connections, and all of them when it restarts; a new one tells which it was.
            if is_new or not may_repeat:
                raise unreachable(self.path, exc) from exc
        except OSError as exc:
            raise unreachable(self.path, exc) from exc
        await self.close()
        return await self._exchange(parts, timeout_s=max(0.0, end_s - time.monotonic() - GRACE_S), may_repeat=False)

    async def _exchange_once(self, parts: Sequence[bytes | memoryview]) -> tuple[Head, bytes]:
        connection = (
            self._idle.pop() if self._idle else await asyncio.open_unix_connection(self.path, limit=MAX_HEAD_BYTES)
        )
        reader, writer = connection
        try:
            for part in parts:
                writer.write(part)
            try:
                head = read_head((await reader.readuntil(HEAD_END))[: -len(HEAD_END)])
            except asyncio.LimitOverrunError as exc:
                raise EdgedError(f"What answers at {self.path} does not speak HTTP.") from exc
            body = await reader.readexactly(head.content_length)
        except BaseException:
            # Also when the task is cancelled: what comes later on this connection would be the answer to this request.
            writer.transport.abort()
            raise
        if head.is_last or len(self._idle) >= self._max_idle:
            writer.close()
        else:
            self._idle.append(connection)
        return head, body
