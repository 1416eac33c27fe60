"""How many requests of a model a rule lets begin: so many at a time, so many in a second. Pure; time is an argument.

Limits of a rule are the device's, not a caller's: they count all requests of one class for one model, whoever sends them, from the moment
in which the rule decides. Requests that were under way before then are not counted. With another rule other limits count at once; what is
under way stays counted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edged.callers.bucket import TokenBucket
from edged.errors import PolicyLimitError
from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decision import Decision

BUSY_RETRY_S: Final = 1
"""When to come again where as many requests run as may."""

_Kind = tuple[str, RequestClass]


@dataclass(slots=True, kw_only=True)
class _Rate:
    """The rate that a rule brought."""

    per_s: float
    bucket: TokenBucket


class DecidedLimits:
    """Counts requests of models for which a rule has limits.

    Args:
        now_s: Returns monotonic seconds.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._running: dict[_Kind, int] = {}
        self._rates: dict[_Kind, _Rate] = {}

    def take(self, ask: Ask, decision: Decision) -> Callable[[], None]:
        """Take the place of one request.

        Args:
            ask: What the request is.
            decision: About such requests; has a limit.

        Returns:
            What gives the place back; to be called once, when the request is over or was not taken.

        Raises:
            PolicyLimitError: The rule lets no more begin now. That costs none of the rate.
        """
        kind = ask.model, ask.request_class
        running, most = self._running.get(kind, 0), decision.max_concurrent
        if most is not None and running >= most:
            raise limit_error(decision, f"{most} requests at a time for model {ask.model}", BUSY_RETRY_S)
        if decision.max_rate_per_s is not None:
            self._take_token(kind, decision, decision.max_rate_per_s)
        self._running[kind] = running + 1
        return lambda: self._give_back(kind)

    def _take_token(self, kind: _Kind, decision: Decision, per_s: float) -> None:
        now_s = self._now_s()
        rate = self._rates.get(kind)
        burst = max(1, math.ceil(per_s))
        if rate is None:
            rate = self._rates[kind] = _Rate(
                per_s=per_s, bucket=TokenBucket(rate_per_s=per_s, burst=burst, now_s=now_s)
            )
        elif rate.per_s != per_s:
            rate.per_s = per_s
            rate.bucket.change(rate_per_s=per_s, burst=burst, now_s=now_s)
        if wait_s := rate.bucket.take(now_s):
            raise limit_error(decision, f"{per_s:g} requests a second for model {kind[0]}", math.ceil(wait_s))

    def _give_back(self, kind: _Kind) -> None:
        self._running[kind] -= 1
        if not self._running[kind]:
            del self._running[kind]


def limit_error(decision: Decision, most: str, retry_after_s: int) -> PolicyLimitError:
    """Make the error of a request that is one too many.

    Args:
        decision: Whose limit it is.
        most: What the limit is, in words.
        retry_after_s: When to come again.
    """
    return PolicyLimitError(
        f"rule {decision.rule} lets no more than {most} begin",
        rule=decision.rule,
        retry_after_s=retry_after_s,
        hint="Ask again after that time; it is the device that has to do less, whoever asks.",
    )
