"""What was asked of a loaded variant, and when: how busy it is, how much of it failed, and whether anybody misses it."""

import math
from collections.abc import Iterable, Mapping
from typing import Final, Self

from edged.daemon.serving.crowd import DAEMON
from edged.daemon.serving.runs import Waiting
from edged.errors import BackendError, DeadlineError, WorkerLostError
from edged.runtime.calls import Request, RequestClass

_FAILURES: Final = frozenset({BackendError.code, DeadlineError.code, WorkerLostError.code})


class Demand:
    """Counts since the variant was loaded; times are the loop's, and those of lent connections as well."""

    __slots__ = ("asked_s", "failures", "lent_failures", "lent_requests", "requests", "wanted_s")

    def __init__(self) -> None:
        self.requests = 0
        """That were taken."""
        self.failures = 0
        """Those among them that the model or its worker failed."""
        self.lent_requests = 0
        """That workers took over lent connections."""
        self.lent_failures = 0
        self.asked_s = -math.inf
        """When an app asked last."""
        self.wanted_s = -math.inf
        """When an app last asked and waited for the answer."""

    def note(self, pending: Waiting, *, now_s: float) -> None:
        """Count a request that was taken."""
        self.requests += 1
        self.note_known(pending.call.request, now_s=now_s)

    def note_known(self, request: Request, *, now_s: float) -> None:
        """Note a request whose answer is known without it."""
        if request.uid != DAEMON:
            self.asked_s = now_s
            if request.request_class is RequestClass.INTERACTIVE:
                self.wanted_s = now_s

    def note_lent(self, ends: Mapping[str, int], *, now_s: float) -> None:
        """Count requests of lent connections, by how they ended."""
        if ends:
            self.asked_s = self.wanted_s = now_s
        self.lent_requests += sum(ends.values())
        self.lent_failures += sum(count for code, count in ends.items() if code in _FAILURES)

    def follow(self, before: Iterable[Self]) -> None:
        """Remember when those were asked that answered before."""
        for one in before:
            self.asked_s = max(self.asked_s, one.asked_s)
            self.wanted_s = max(self.wanted_s, one.wanted_s)
