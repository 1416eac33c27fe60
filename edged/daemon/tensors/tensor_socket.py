"""The fast path: connections of the tensor socket, accepted here and lent to the workers that answer them.

Here is decided who may connect, to which model, and what a connection may ask for; the worker that has a connection reads and answers
its requests (docs/tensor-socket.md). What holds for one on HTTP holds here, with these differences:

- A connection is one of its caller's requests under way (``limits.max_concurrent``) for as long as it lasts, and its memory counts as
  the inputs of that request (``limits.max_queued_bytes``).
- A rate is divided evenly among connections, and what the policy limits counts connections (``edged.daemon.tensors.leases``).
- A user whose requests ended two workers has to rest (``edged.daemon.serving.strikes``).

Once a second, while there are clients, limits are applied anew, counts are gathered, and a worker that ignores its deadlines is ended.
"""

import asyncio
import logging
import math
import select
import socket
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Final, Self

from edged.api.ports import ModelView
from edged.callers.caller import Caller
from edged.callers.quotas import Quotas
from edged.callers.who import identify
from edged.config.schema import ServeConfig
from edged.daemon.serving.served import Served
from edged.daemon.serving.serving import Serving
from edged.daemon.serving.strikes import Key, Strikes
from edged.daemon.tensors.borrowers import Borrowers
from edged.daemon.tensors.client_memory import check_memory
from edged.daemon.tensors.leases import Leases, Limiting, class_of
from edged.daemon.tensors.tensor_client import Opened, Target, TensorClient
from edged.daemon.tensors.tensor_door import Door
from edged.errors import EdgedError, PoisonError, QuotaError, UnavailableError, WorkerLostError
from edged.ids import ModelName
from edged.runtime.calls import RequestClass
from edged.runtime.lending import Lease
from edged.runtime.tensor_table import table_of
from edged.tensor_socket import Open, ProtocolError, encode
from edged.tensor_socket import Opened as OpenedMessage

LOG = logging.getLogger(__name__)

TICK_S: Final = 1.0
BODIES_SHARED: Final = 2
"""A client may share as much memory as two of the largest requests on HTTP have."""


Answering = Callable[[str, str | None, RequestClass], tuple[ModelView, Served]]


class TensorSocket:
    """Everybody who is connected to the tensor socket. An asynchronous context manager: it accepts while it is entered.

    Leaving it stops accepting, lets the workers answer what they have, and closes all connections.

    Args:
        listener: Stays the caller's.
        serving: Whose workers have the connections.
        answering: Returns what answers a kind of request for a model and a version (None: any) now, or raises why nothing does.
        quotas: Limits of callers.
        limits: Called for the limits in force.
        poison_rest_s: How long a user who ended two workers is refused.
        drain_s: How long a request may take once the end has begun, before it is stopped.
        scale: Returns the share of the full size that the policy asks for of a kind of request for a model now.
        limiting: Returns what the policy decided about a kind of request, where it limits how many begin.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        serving: Serving,
        answering: Answering,
        quotas: Quotas,
        limits: Callable[[], ServeConfig],
        poison_rest_s: float,
        drain_s: float,
        scale: Callable[[str, RequestClass], float] = lambda _model, _class: 1.0,
        limiting: Limiting = lambda _model, _class: None,
    ) -> None:
        self._serving = serving
        self._answering = answering
        self._quotas = quotas
        self._limits = limits
        self._drain_s = drain_s
        self._strikes = Strikes(rest_s=poison_rest_s)
        self._borrowers = Borrowers()
        self._loop = asyncio.get_running_loop()
        self._door = Door(listener, accept=self._open, inside=lambda: len(self._clients), limits=limits)
        self._clients: dict[int, TensorClient] = {}
        """By their descriptor."""
        self._leases = Leases(self._clients, quotas=quotas, limits=limits, scale=scale, limiting=limiting)
        self._is_closing = False
        self._moved = asyncio.Event()
        """Set when a connection has come back or was closed; whoever waits for that clears it before."""
        # A connection that is lent is read by its worker. This only notices when its other end is closed.
        self._ends = select.epoll()
        self._timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._loop.add_reader(self._ends, self._note_ends)
        self._serving.watch(self)
        self._door.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.begin_to_end()
        try:
            while self._clients:
                self._moved.clear()
                await self._moved.wait()
        finally:
            if self._end_timer is not None:
                self._end_timer.cancel()
            self._loop.remove_reader(self._ends)
            self._ends.close()
            if self._timer is not None:
                self._timer.cancel()

    def begin_to_end(self) -> None:
        """Accept nobody any more, and begin to end every connection: those that are lent once their request under way is answered."""
        if self._is_closing:
            return
        self._is_closing = True
        self._door.close()
        self._end_timer = self._loop.call_later(self._drain_s, self._hurry)
        for client in tuple(self._clients.values()):
            client.settle()

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._door) + len(self._clients)

    def changed(self, model: ModelName) -> None:
        """Take note that something else answers for a model now; see ``edged.daemon.serving.watcher``."""
        for client in tuple(self._clients.values()):
            if client.opening.model == model:
                client.settle()

    def decided(self) -> None:
        """Take note that other variants than before may answer, or nothing: each connection goes where it belongs now, or ends.

        A request that is under way is answered first. Those that stay where they are may be answered at another scale from then on, which
        clients that take scales are told.
        """
        for client in tuple(self._clients.values()):
            client.settle()
            client.amend()

    def stopped(self, model: ModelName, error: EdgedError) -> None:
        """End every connection for a model, also those with a request under way; see ``Watcher``."""
        for client in tuple(self._clients.values()):
            if client.opening.model == model:
                client.refuse(error)

    async def let_go(self, served: Served) -> None:
        """Wait until no connection is in the worker of a version that answers no more; see ``Watcher``."""
        while any(client.lent_by is served for client in self._clients.values()):
            self._moved.clear()
            await self._moved.wait()

    def count(self) -> None:
        """Bring the statistics up to date; see ``Watcher``."""
        self._borrowers.count()

    def running(self, served: Served) -> int:
        """Return how many requests on connections are under way; see ``Watcher``."""
        return self._borrowers.running(served)

    def _hurry(self) -> None:
        if not self._clients:
            return
        LOG.warning(
            "%d connections of the tensor socket are closed before their request was answered", self.connections
        )
        for client in tuple(self._clients.values()):
            client.hurry()

    def _open(self, connection: socket.socket, opening: Open, memory: int) -> None:
        """Take a client that has said what it wants, or raise why not."""
        self._leases.check_place(opening, connection.fileno())
        target = self._find(opening)
        caller = identify(connection)
        self._check_strikes(_key(caller, target))
        limits = self._limits()
        size_bytes = check_memory(memory, most_bytes=BODIES_SHARED * limits.max_body_bytes)
        try:
            admission = self._quotas.admit(caller, size_bytes)
        except QuotaError:
            target.served.stats.rejected("quota")
            raise
        opened = Opened(
            opening=opening,
            caller=caller,
            connection=connection,
            memory=memory,
            memory_bytes=size_bytes,
            admission=admission,
            target=target,
        )
        client = TensorClient(
            opened,
            find=partial(self._find_next, connection.fileno()),
            lease=partial(self._leases.lease, opening),
            lent=self._borrowers.add,
            lost=self._note_loss,
            moved=self._note_move,
        )
        self._clients[client.fileno()] = client
        self._leases.count()
        try:
            _answer(opened, self._leases.lease(opening, caller), wanted_permille=client.told_permille)
        except EdgedError:
            del self._clients[client.fileno()]
            admission.release()
            raise
        self._ends.register(client.fileno(), select.EPOLLRDHUP | select.EPOLLONESHOT)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)
        client.settle()

    def _check_strikes(self, key: Key) -> None:
        if rest_s := self._strikes.rest_s(key, self._loop.time()):
            raise PoisonError(
                "Requests of this user on this socket ended two workers of the model.",
                hint="Report it with the model and its version to the publisher; HTTP answers other requests.",
                rest_s=math.ceil(rest_s),
            )

    def _find(self, opening: Open) -> Target:
        """Return what answers for a client now.

        Raises:
            ModelUnknownError: Nothing does.
            UnavailableError: It is being loaded, or its worker cannot be started, or what answers in its place has none.
            ModelStoppedError: It is stopped.
            DeferredError: The policy lets nothing run now.
            PolicyDeniedError: The policy denies.
        """
        view, served = self._answering(opening.model, opening.version or None, class_of(opening))
        if served.start_error:
            raise UnavailableError(f"The model has no worker: {served.start_error}", retry_after_s=5)
        return Target(
            served=served,
            version=str(view.version),
            variant=view.variant,
            tensors=table_of(view.inputs, view.raw_inputs, view.outputs, states=view.state_inputs),
        )

    def _find_next(self, descriptor: int, opening: Open) -> Target | None:
        # At the end of the daemon nothing does, but the next one will: its socket takes connections all the time.
        if self._is_closing:
            return None
        self._leases.check_place(opening, descriptor)
        return self._find(opening)

    def _note_ends(self) -> None:
        for descriptor, _ in self._ends.poll(0):
            self._clients[descriptor].leave()

    def _note_loss(self, client: TensorClient, error: EdgedError) -> None:
        served = client.target.served
        served.stats.finished(error.code, 0.0)
        served.count_lent({error.code: 1})
        # A worker that ended with the template is nobody's fault.
        if isinstance(error, WorkerLostError):
            self._strikes.add(_key(client.caller, client.target), self._loop.time())

    def _note_move(self, client: TensorClient) -> None:
        if client.is_over and self._clients.pop(client.fileno(), None) is not None:
            self._ends.unregister(client.fileno())
        self._moved.set()

    def _tick(self) -> None:
        self._leases.count()
        for client in self._clients.values():
            client.amend()
        self._borrowers.end_stuck()
        self._borrowers.count()
        is_needed = self._clients or len(self._borrowers)
        self._timer = self._loop.call_later(TICK_S, self._tick) if is_needed else None


def _key(caller: Caller, target: Target) -> Key:
    return caller.uid, target.served.loadable.bundle.manifest.name, target.version


def _answer(opened: Opened, lease: Lease, *, wanted_permille: int) -> None:
    target = opened.target
    message = OpenedMessage(
        version=target.version,
        variant=target.variant,
        memory_bytes=opened.memory_bytes,
        deadline_us=int(lease.deadline_s * 1e6),
        requests_per_1000_s=math.ceil(lease.rate_per_s * 1000),
        burst=lease.burst,
        wanted_permille=wanted_permille,
        tensors=target.tensors,
    )
    try:
        opened.connection.send(encode(message), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except ProtocolError as exc:
        raise UnavailableError(f"The model cannot be asked over this socket: {exc}.", hint="Use HTTP.") from exc
    except OSError as exc:
        raise UnavailableError("The client has left.") from exc
