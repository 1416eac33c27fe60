"""For how long nobody has been at the device, from the sessions that logind knows. Pure.

Rules, from org.freedesktop.login1(5) and ``session_get_idle_hint`` of systemd (src/login/logind-session.c):

(1) counted    sessions of people (class ``user`` and its kin) on a seat, while they have the seat: somebody may be in front of it. Not a
               getty or a greeter, where nobody has logged in; not ssh nor a service, to which no screen or keyboard of this device belongs;
               not the one behind another virtual terminal. So a gateway is not busy because somebody left a shell open
(2) terminals  logind says when the terminal was last read from, whether or not it calls that idle already
(3) desktops   one that says it is not idle is used now; one that says it is has been idle since it began to say so
(4) silence    many compositors of kiosks never say anything. Then the last that is known of a person is that somebody logged in: such a
               session is not busy for ever. A desktop that would say something has done so once somebody paused for the first time

What logind's manager says of all sessions together is of no use here: it counts ssh, and a session without a terminal is never idle to it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_PEOPLE: Final = frozenset({"user", "user-early", "user-light", "user-early-light"})
_TERMINAL: Final = "tty"
_DESKTOPS: Final = frozenset({"x11", "wayland", "mir"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What logind says of one session. Times are seconds of CLOCK_MONOTONIC."""

    kind: str
    """``Class``."""
    type: str
    """``tty``, ``x11``, ``wayland``, ``mir``, ``web`` or ``unspecified``."""
    seat: str
    """Empty where it has none."""
    is_active: bool
    """It has its seat; without a seat, every session is active."""
    began_s: float
    is_idle: bool
    hint_s: float
    """When its terminal was last read from, or when its desktop last changed what it says; 0 for never."""


def idle_s(sessions: Iterable[Session], *, now_s: float) -> float | None:
    """Return for how many seconds nobody has been seen at the device; 0 while somebody is, None where no session tells of anybody.

    Args:
        sessions: All that there are.
        now_s: Seconds of CLOCK_MONOTONIC.
    """
    seen = [_seen_s(session, now_s) for session in sessions if _counts(session)]
    return max(0.0, now_s - max(seen)) if seen else None


def _counts(session: Session) -> bool:  # (1)
    return session.kind in _PEOPLE and bool(session.seat) and session.is_active


def _seen_s(session: Session, now_s: float) -> float:
    """Return when somebody was last seen in a session."""
    if session.hint_s and session.type == _TERMINAL:  # (2)
        return session.hint_s
    if session.hint_s and session.type in _DESKTOPS:  # (3)
        return session.hint_s if session.is_idle else now_s
    return session.began_s  # (4)
