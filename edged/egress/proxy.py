"""The gate: a CONNECT proxy on a Unix socket, the only way from this device to the network.

One connection goes through these steps, each with a limit: read the head, judge the name, resolve it once, judge every address, connect
to a judged address (never to the name again, so a second answer of the resolver cannot matter), carry bytes.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from edged import journal
from edged.callers.peer import peer_of
from edged.egress.policy import Policy, Reason, Refused, check_address, decide
from edged.egress.relay import BLOCK_BYTES, Stream, relay
from edged.egress.request import (
    HEAD_END,
    NAME_NOT_RESOLVED,
    ConnectRequest,
    RejectedError,
    established,
    parse_connect,
    render,
    too_large,
)

LOG = logging.getLogger(__name__)

MAX_ADDRESSES: Final = 8
"""Addresses of one name that are tried."""
MAX_LOGGED_NAME: Final = 255
LINGER_S: Final = 1.0

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Turn a name and port into numeric addresses, best first; raises ``OSError``."""
Dialler = Callable[[str, int], Awaitable[Stream]]
"""Connect to a numeric address and port; raises ``OSError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimits:
    """How long and how many; the limits of ``edged.config.schema.EgressConfig``."""

    connect_timeout_s: float
    """For the request head, and again for resolving and connecting."""
    idle_timeout_s: float
    max_connections: int


@dataclass(slots=True, kw_only=True)
class Counters:
    """What the gate has done since it started."""

    open: int = 0
    tunnels: int = 0
    refused: int = 0
    """Destinations the policy does not allow."""
    failed: int = 0
    """Requests that were malformed, and destinations that did not answer."""
    relayed_bytes: int = 0


class Gate:
    """Serve CONNECT requests on a listening socket.

    Args:
        policy: What may be reached.
        limits: How long and how many.
        policies: What certain users may reach in place of that, by user ID.
        is_metered: Whether bytes cost money on this link; None where that is not known.
        resolve: The resolver; the system's own unless a test brings another.
        dial: How to connect.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        limits: GateLimits,
        policies: Mapping[int, Policy] = MappingProxyType({}),
        is_metered: bool | None = None,
        resolve: Resolver | None = None,
        dial: Dialler | None = None,
    ) -> None:
        self.counters = Counters()
        self._policy = policy
        self._policies = policies
        self._limits = limits
        self._is_metered = is_metered
        self._resolve = resolve or resolve_by_system
        self._dial = dial or dial_tcp
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket, stop: asyncio.Event, *, drain_s: float) -> None:
        """Serve until ``stop`` is set, then let open tunnels finish for at most ``drain_s``.

        Args:
            listener: A listening Unix socket; it is closed on return, its file stays.
            stop: Ends the service.
            drain_s: Seconds that open tunnels get.
        """
        # start_unix_server would unlink a path that belongs to systemd's socket unit (Python 3.13).
        server = await asyncio.start_server(self._accept, sock=listener, limit=BLOCK_BYTES)
        try:
            await stop.wait()
        finally:
            server.close()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=drain_s)
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio logs an error for one of its that is cancelled (Python 3.11).
        task = asyncio.get_running_loop().create_task(self._attend(Stream(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, client: Stream) -> None:
        self.counters.open += 1
        try:
            await self._serve(client)
        except OSError as exc:  # TimeoutError is one
            LOG.debug("tunnel ended early: %s", exc)
        finally:
            self.counters.open -= 1
            await client.close()

    async def _serve(self, client: Stream) -> None:
        try:
            request = await self._read(client.reader)
            destination = await self._open(request, self._policy_for(client))
        except RejectedError as rejection:
            await _answer(client, rejection)
            return
        try:
            self.counters.tunnels += 1
            client.writer.write(established(is_metered=self._is_metered))
            await relay(client, destination, idle_timeout_s=self._limits.idle_timeout_s, on_bytes=self._count)
        finally:
            await destination.close()

    async def _read(self, reader: asyncio.StreamReader) -> ConnectRequest:
        if self.counters.open > self._limits.max_connections:
            raise self._failed(HTTPStatus.SERVICE_UNAVAILABLE, "gate-busy", "Too many connections are open.")
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                return parse_connect(await reader.readuntil(HEAD_END))
        except RejectedError:
            self.counters.failed += 1
            raise
        except asyncio.LimitOverrunError:
            self.counters.failed += 1
            raise too_large() from None
        except asyncio.IncompleteReadError:
            raise self._failed(HTTPStatus.BAD_REQUEST, "request-malformed", "The request ended early.") from None
        except TimeoutError:
            raise self._failed(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", "The request came too slowly.") from None

    def _policy_for(self, client: Stream) -> Policy:
        """Return what the user at the other end may reach, as the kernel knows the user."""
        return self._policies.get(peer_of(client.writer.get_extra_info("socket")).uid, self._policy)

    async def _open(self, request: ConnectRequest, policy: Policy) -> Stream:
        """Connect to where a request may go.

        Raises:
            RejectedError: It may go nowhere, or nobody answers there.
        """
        verdict = decide(request.host, request.port, policy)
        if isinstance(verdict, Refused):
            raise self._refused(request, verdict.reason)
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                found = (await self._resolve(verdict.name, request.port))[:MAX_ADDRESSES]
                checked = [
                    address for address in found if check_address(address, is_private=verdict.is_private) is None
                ]
                if found and not checked:
                    raise self._refused(request, Reason.ADDRESS_NOT_GLOBAL)
                return await self._connect(checked, request.port)
        except TimeoutError:
            raise self._failed(HTTPStatus.GATEWAY_TIMEOUT, "connect-timeout", "No answer in time.") from None
        except socket.gaierror as exc:
            raise self._failed(HTTPStatus.BAD_GATEWAY, NAME_NOT_RESOLVED, f"No address: {exc.strerror}.") from exc
        except OSError as exc:
            raise self._failed(
                HTTPStatus.BAD_GATEWAY, "connect-failed", f"No connection: {exc.strerror or exc}."
            ) from exc

    async def _connect(self, addresses: Sequence[str], port: int) -> Stream:
        """Try addresses in order; each but the last gets a share of the time, so that one dead address does not use it up."""
        failure: OSError = OSError("the name has no address")
        for address in addresses[:-1]:
            try:
                return await asyncio.wait_for(
                    self._dial(address, port), self._limits.connect_timeout_s / len(addresses)
                )
            except OSError as exc:  # TimeoutError is one
                failure = exc
        if addresses:
            return await self._dial(addresses[-1], port)
        raise failure

    def _refused(self, request: ConnectRequest, reason: Reason) -> RejectedError:
        self.counters.refused += 1
        host = request.host[:MAX_LOGGED_NAME]
        journal.event(LOG, journal.EGRESS_REFUSED, host=host, port=request.port, reason=reason.value)
        return RejectedError(
            HTTPStatus.FORBIDDEN, reason.value, f"{host}:{request.port} is not allowed ({reason.value})."
        )

    def _failed(self, status: HTTPStatus, reason: str, detail: str) -> RejectedError:
        self.counters.failed += 1
        return RejectedError(status, reason, detail)

    def _count(self, size: int) -> None:
        self.counters.relayed_bytes += size


async def _answer(client: Stream, rejection: RejectedError) -> None:
    """Answer and wait for the client to leave: closing with unread bytes would reset the connection and lose the answer."""
    client.writer.write(render(rejection))
    client.writer.write_eof()
    async with asyncio.timeout(LINGER_S):
        while await client.reader.read(BLOCK_BYTES):
            pass


async def resolve_by_system(name: str, port: int) -> list[str]:
    """Ask the system's resolver once."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(sockaddr[0]) for *_, sockaddr in found]


async def dial_tcp(address: str, port: int) -> Stream:
    """Connect to a numeric address; asyncio does not resolve those again."""
    return Stream(*await asyncio.open_connection(address, port, limit=BLOCK_BYTES))
