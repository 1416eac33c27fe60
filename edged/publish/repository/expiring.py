"""Which signatures will expire before long, how pressing that is, and who has to sign. Pure.

A role that is signed once a year is warned about 30, 14 and 3 days before. One that is signed by a timer every day must not be warned
about every day, so no warning comes before the last quarter, eighth and fortieth of a role's lifetime.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from edged.publish.repository.roles import OFFLINE_ROLES, Expiry, key_name
from edged.publish.repository.state import State

NOTICE_DAYS: Final = 30

Urgency = Literal["notice", "pressing", "urgent", "expired"]
_LIMITS: Final[tuple[tuple[Urgency, timedelta, int], ...]] = (
    ("urgent", timedelta(days=3), 40),
    ("pressing", timedelta(days=14), 8),
    ("notice", timedelta(days=NOTICE_DAYS), 4),
)
"""From the shortest: how long before, and what part of the lifetime at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """A role that has to be signed again."""

    role: str
    expires: datetime
    left: timedelta
    """Negative when it has expired."""
    urgency: Urgency
    who: str
    """Who signs it, for a person."""

    def sentence(self) -> str:
        """Say it to a person."""
        day = f"{self.expires:%Y-%m-%d %H:%M} UTC"
        match self.urgency:
            case "expired":
                return (
                    f"EXPIRED: {self.role} expired on {day}, and devices take no update until it is signed: {self.who}"
                )
            case "urgent":
                return f"URGENT: {self.role} expires in {_span(self.left)}, on {day}; devices take no update then: {self.who}"
            case "pressing":
                return f"warning: {self.role} expires in only {_span(self.left)}, on {day}: {self.who}"
            case "notice":
                return f"warning: {self.role} expires in {_span(self.left)}, on {day}: {self.who}"


def find_expiring(state: State, expiry: Expiry, now: datetime, *, within_days: int = NOTICE_DAYS) -> list[Expiring]:
    """Return the roles that expire before long, the next to expire first.

    Args:
        state: What is published.
        expiry: How long signatures hold when they are made.
        now: UTC.
        within_days: How long before a role counts, where a quarter of its lifetime is not shorter.
    """
    found = _expiring(state, expiry, now, timedelta(days=within_days))
    return sorted(found, key=lambda role: role.expires)


def expiry_dates(state: State) -> dict[str, datetime]:
    """Return when the signature of each role expires."""
    signed = {"root": state.root, **state.targets, "snapshot": state.snapshot, "timestamp": state.timestamp}
    return {role: metadata.expires for role, metadata in signed.items()}


def _expiring(state: State, expiry: Expiry, now: datetime, within: timedelta) -> Iterator[Expiring]:
    for role, expires in expiry_dates(state).items():
        left, lifetime = expires - now, expiry.lifetime(role)
        if left >= max(timedelta(), min(within, lifetime / 4)):
            continue
        limits = (name for name, limit, part in _LIMITS if left < min(limit, lifetime / part))
        urgency: Urgency = "expired" if left <= timedelta() else next(limits, "notice")
        yield Expiring(role=role, expires=expires, left=left, urgency=urgency, who=_who(state, role))


def _who(state: State, role: str) -> str:
    if role == "root":
        root = state.root.roles["root"]
        return f"{root.threshold} of the {len(root.keyids)} holders of root keys sign the next root (root rotate)"
    if role.startswith("m-") or role in OFFLINE_ROLES:
        return f"bring the key {key_name(role)}, and run edge-publish resign"
    return f"run edge-publish resign, with the key {key_name(role)}"


def _span(left: timedelta) -> str:
    hours = int(left.total_seconds() // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} hours" if hours >= 2 else f"{int(left.total_seconds() // 60)} minutes"
