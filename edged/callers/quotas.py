"""How much each caller may ask for: a rate, a number of requests at a time, and the bytes of their inputs. Pure.

A request is admitted before anything is done for it, and holds its share of its caller's limits until it is over. The rules:

- all processes of a unit that a rule names share one set of limits, and so do all other processes of a user (``edged.callers.rules``);
- what is refused costs no token of the rate;
- a reload applies to everybody at once: who holds more than the new limits allow keeps it, and gets nothing more until it fits;
- callers that hold nothing and have all of their burst are forgotten, because a new one has the same.
"""

import math
from collections.abc import Callable
from typing import Final

from edged.callers.bucket import TokenBucket
from edged.callers.caller import Caller
from edged.callers.rules import Key, Rules, Terms
from edged.clock import Clock
from edged.config.schema import CallerLimits, LimitsConfig
from edged.errors import BodyTooLargeError, QuotaError

_FEW: Final = 64
"""So many callers are remembered without a look for ones to forget."""


class Admission:
    """One admitted request's share of its caller's limits."""

    __slots__ = ("_share", "_size_bytes")

    def __init__(self, share: "_Share", size_bytes: int) -> None:
        self._share: _Share | None = share
        self._size_bytes = size_bytes

    def release(self) -> None:
        """Give the share back once the request is over; later calls do nothing."""
        share, self._share = self._share, None
        if share is not None:
            share.give_back(self._size_bytes)


class Quotas:
    """The limits of every caller, and what each holds of them.

    Args:
        limits: Returns the limits in force; another object after a reload.
        clock: For the rates.
    """

    def __init__(self, limits: Callable[[], LimitsConfig], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._rules = Rules(limits())
        self._shares: dict[Key, _Share] = {}
        self._many = _FEW

    def admit(self, caller: Caller, size_bytes: int) -> Admission:
        """Take a request's share of its caller's limits.

        Args:
            caller: Who asks.
            size_bytes: Of the request's inputs.

        Returns:
            What is to be released when the request is over, whatever became of it.

        Raises:
            QuotaError: It would be more than the caller may have; ``limit`` names the setting.
            BodyTooLargeError: It would be, even if the caller had nothing else under way.
        """
        now_s = self._clock.monotonic_s()
        config = self._limits()
        if config is not self._rules.config:
            self._adopt(config, now_s)
        key = self._rules.key_of(caller)
        share = self._shares.get(key)
        if share is None:
            share = self._remember(key, caller, now_s)
        share.take(size_bytes, now_s)
        return Admission(share, size_bytes)

    def terms_of(self, caller: Caller) -> tuple[Key, CallerLimits]:
        """Return whom a caller shares its limits with, and what they are now."""
        config = self._limits()
        rules = self._rules if config is self._rules.config else Rules(config)
        return rules.key_of(caller), rules.terms_of(caller).limits

    def _adopt(self, config: LimitsConfig, now_s: float) -> None:
        self._rules = Rules(config)
        for key, share in list(self._shares.items()):
            if self._rules.key_of(share.caller) == key:
                share.change(self._rules.terms_of(share.caller), now_s)
            else:  # A rule for the caller's unit came or went: it is counted elsewhere from now on.
                del self._shares[key]

    def _remember(self, key: Key, caller: Caller, now_s: float) -> "_Share":
        if len(self._shares) >= self._many:
            self._shares = {known: share for known, share in self._shares.items() if not share.is_idle(now_s)}
            self._many = max(_FEW, 2 * len(self._shares))
        share = self._shares[key] = _Share(caller, self._rules.terms_of(caller), now_s)
        return share


class _Share:
    """What one key has of its limits."""

    __slots__ = ("_bucket", "_bytes", "_requests", "_terms", "caller")

    def __init__(self, caller: Caller, terms: Terms, now_s: float) -> None:
        self.caller: Final = caller
        """One of those counted here."""
        self._requests = 0
        self._bytes = 0
        self._bucket: TokenBucket | None = None
        self._terms = terms
        self.change(terms, now_s)

    def change(self, terms: Terms, now_s: float) -> None:
        """Go on with other limits."""
        self._terms = terms
        rate_per_s, burst = terms.limits.rate_per_s, terms.limits.burst
        if not rate_per_s:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(rate_per_s=rate_per_s, burst=burst, now_s=now_s)
        else:
            self._bucket.change(rate_per_s=rate_per_s, burst=burst, now_s=now_s)

    def is_idle(self, now_s: float) -> bool:
        """Tell whether a new share would be like this one."""
        return not self._requests and (self._bucket is None or self._bucket.is_full(now_s))

    def take(self, size_bytes: int, now_s: float) -> None:
        """Take room for a request, and a token last: what is refused costs none."""
        limits = self._terms.limits
        if self._requests >= limits.max_concurrent:
            raise self._refusal("max_concurrent", f"{limits.max_concurrent} requests waiting or running at a time")
        if self._bytes + size_bytes > limits.max_queued_bytes:
            raise self._too_many_bytes(size_bytes)
        if self._bucket is not None and (wait_s := self._bucket.take(now_s)):
            raise self._refusal("rate_per_s", f"{limits.rate_per_s:g} requests a second", wait_s=wait_s)
        self._requests += 1
        self._bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """End one request."""
        self._requests -= 1
        self._bytes -= size_bytes

    def _too_many_bytes(self, size_bytes: int) -> QuotaError | BodyTooLargeError:
        most = self._terms.limits.max_queued_bytes
        if size_bytes <= most:
            return self._refusal("max_queued_bytes", f"{most} bytes of inputs waiting or running at a time")
        # Not 429, which says that the same will do later.
        return BodyTooLargeError(
            f"{self._terms.subject} may send {most} bytes of inputs; this request has {size_bytes}.",
            hint=f"Send less, or have limits.max_queued_bytes{self._terms.place} raised.",
            limit="limits.max_queued_bytes",
        )

    def _refusal(self, field: str, most: str, *, wait_s: float = 0.0) -> QuotaError:
        return QuotaError(
            f"{self._terms.subject} may have {most}.",
            limit=f"limits.{field}",
            hint=f"Wait for Retry-After, or have limits.{field}{self._terms.place} raised.",
            retry_after_s=max(1, math.ceil(wait_s)),
        )
