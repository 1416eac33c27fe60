"""What each connection of the tensor socket may ask for, by its caller's limits and by what the policy decided. Pure.

- A caller's rate is divided evenly among its connections, and a rate that a rule has for requests of a kind among all connections for
  requests of that kind, whoever has them. The lower one counts.
- Where a rule lets so many requests run at a time, so many connections may be there, because each of them can have one under way: those
  that came first.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from edged.callers.caller import Caller
from edged.callers.quotas import Quotas
from edged.config.schema import ServeConfig
from edged.daemon.decisions.limits import BUSY_RETRY_S, limit_error
from edged.runtime.calls import RequestClass
from edged.runtime.lending import Lease
from edged.select.decision import Decision
from edged.tensor_socket import Open

Limiting = Callable[[str, RequestClass], Decision | None]
"""Returns the decision about a kind of request for a model where it limits how many begin."""


class Connected(Protocol):
    """Who has a connection."""

    @property
    def opening(self) -> Open:
        """What it asked for."""
        ...

    @property
    def caller(self) -> Caller:
        """Who it is."""
        ...


class Leases:
    """The leases of all connections.

    Args:
        connections: All there are, by descriptor, in the order in which they came; looked at, never changed.
        quotas: Limits of callers.
        limits: Called for the limits in force.
        scale: Returns the share of the full size that the policy asks for of a kind of request for a model now.
        limiting: Returns what the policy decided, where it limits.
    """

    def __init__(
        self,
        connections: Mapping[int, Connected],
        *,
        quotas: Quotas,
        limits: Callable[[], ServeConfig],
        scale: Callable[[str, RequestClass], float],
        limiting: Limiting,
    ) -> None:
        self._connections: Final = connections
        self._quotas = quotas
        self._limits = limits
        self._scale = scale
        self._limiting = limiting
        self._callers: Counter[str | int] = Counter()
        """Connections that share the limits of one key (``Quotas.terms_of``)."""
        self._kinds: Counter[tuple[str, RequestClass]] = Counter()
        """Connections for requests of one kind."""

    def count(self) -> None:
        """Take note of who is connected now."""
        connected = self._connections.values()
        self._callers = Counter(self._quotas.terms_of(one.caller)[0] for one in connected)
        self._kinds = Counter(_kind(one.opening) for one in connected)

    def lease(self, opening: Open, caller: Caller) -> Lease:
        """Return what one connection may ask for."""
        key, limits = self._quotas.terms_of(caller)
        sharing = max(1, self._callers[key])
        rate_per_s, burst, rule = limits.rate_per_s / sharing, max(1, limits.burst // sharing), ""
        decision = self._limiting(*_kind(opening))
        if decision is not None and decision.max_rate_per_s is not None:
            share_per_s = decision.max_rate_per_s / max(1, self._kinds[_kind(opening)])
            if not rate_per_s or share_per_s < rate_per_s:
                rate_per_s, burst, rule = share_per_s, max(1, math.ceil(share_per_s)), decision.rule
        return Lease(
            deadline_s=self._limits().request_timeout_s,
            rate_per_s=rate_per_s,
            burst=burst,
            scale=self._scale(*_kind(opening)),
            rule=rule,
        )

    def check_place(self, opening: Open, descriptor: int) -> None:
        """Refuse a connection where the policy lets fewer requests run at a time than there are connections before it.

        Args:
            opening: What it is for.
            descriptor: Its own; one that is not among the connections yet would be the last.

        Raises:
            PolicyLimitError: There are as many as may be.
        """
        decision = self._limiting(*_kind(opening))
        if decision is None or decision.max_concurrent is None:
            return
        alike = [number for number, one in self._connections.items() if _kind(one.opening) == _kind(opening)]
        ahead = alike.index(descriptor) if descriptor in alike else len(alike)
        if ahead >= decision.max_concurrent:
            most = f"{decision.max_concurrent} requests at a time for model {opening.model}"
            raise limit_error(decision, most, BUSY_RETRY_S)


def class_of(opening: Open) -> RequestClass:
    """Return the class of the requests of a connection."""
    return RequestClass.BACKGROUND if opening.is_background else RequestClass.INTERACTIVE


def _kind(opening: Open) -> tuple[str, RequestClass]:
    return opening.model, class_of(opening)
