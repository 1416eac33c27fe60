"""Asks systemd-logind about its sessions, over the system bus: systemd 257 tells idle hints to nobody in another way.

Signals of logind only say when to ask; what has changed is asked for afterwards. A bus or a logind that is not there, or does not answer in
``ANSWER_S``, is an ``OSError``, and the next question connects anew. One answer jeepney waits for without end, the bus's own to its
greeting: a bus that hangs just then is left to the unit's watchdog.
"""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from jeepney import DBusAddress, DBusErrorResponse, MatchRule, Message, Properties, message_bus, new_method_call
from jeepney.auth import AuthenticationError
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from edged.presence.sessions import Session

SYSTEM_BUS: Final = "unix:path=/run/dbus/system_bus_socket"
ANSWER_S: Final = 5.0

_NAME: Final = "org.freedesktop.login1"
_ROOT: Final = "/org/freedesktop/login1"
_SESSION: Final = f"{_NAME}.Session"
_GONE: Final = frozenset({f"{_NAME}.NoSuchSession", "org.freedesktop.DBus.Error.UnknownObject"})
_MICRO: Final = 1e-6


class Logind:
    """A connection to the bus, made when it is needed. A context manager, which closes it.

    Args:
        bus: The address of the bus.
    """

    def __init__(self, bus: str = SYSTEM_BUS) -> None:
        self._bus = bus
        self._connection: DBusConnection | None = None
        self._signals: deque[Message] = deque(maxlen=1)
        """That something has changed; what it was does not matter."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    def sessions(self) -> list[Session]:
        """Return every session that has a seat.

        Raises:
            OSError: The bus or logind is not there, refuses, or does not answer.
        """
        with self._anew_after_trouble():
            (listed,) = self._ask(new_method_call(DBusAddress(_ROOT, _NAME, f"{_NAME}.Manager"), "ListSessions"))
            paths = [path for _, _, _, seat, path in listed if seat]
            return [session for path in paths if (session := self._session(path)) is not None]

    @property
    def bus_socket(self) -> socket.socket | None:
        """What can be read from when there may be news; None while there is no connection."""
        return None if self._connection is None else self._connection.sock

    def has_news(self) -> bool:
        """Tell, without waiting, whether logind has said that something has changed since the last time.

        Raises:
            OSError: The bus is not there any more.
        """
        if self._connection is None:
            return False
        with self._anew_after_trouble():
            try:
                self._connection.recv_until_filtered(self._signals, timeout=0.0)
            except TimeoutError:
                return False
            return True

    def _session(self, path: str) -> Session | None:
        """Return one session; None when it has ended meanwhile."""
        try:
            (found,) = self._ask(Properties(DBusAddress(path, _NAME, _SESSION)).get_all())
        except DBusErrorResponse as exc:
            if exc.name in _GONE:
                return None
            raise
        said: dict[str, Any] = {name: value for name, (_, value) in found.items()}
        return Session(
            kind=said["Class"],
            type=said["Type"],
            seat=said["Seat"][0],
            is_active=said["Active"],
            began_s=said["TimestampMonotonic"] * _MICRO,
            is_idle=said["IdleHint"],
            hint_s=said["IdleSinceHintMonotonic"] * _MICRO,
        )

    def _ask(self, message: Message) -> tuple[Any, ...]:
        answer: tuple[Any, ...] = unwrap_msg(self._connected().send_and_get_reply(message, timeout=ANSWER_S))
        return answer

    def _connected(self) -> DBusConnection:
        if self._connection is None:
            self._connection = open_dbus_connection(self._bus, auth_timeout=ANSWER_S)
            # The bus knows logind by its name, and its messages carry another: to this end, whatever comes of that tree is logind's.
            self._connection.filter(MatchRule(type="signal", path_namespace=_ROOT), queue=self._signals)
            self._ask(message_bus.AddMatch(MatchRule(type="signal", sender=_NAME, path_namespace=_ROOT)))
        return self._connection

    @contextmanager
    def _anew_after_trouble(self) -> Iterator[None]:
        """Have every trouble be an ``OSError``, and the next question connect anew."""
        try:
            yield
        except (AuthenticationError, DBusErrorResponse) as exc:
            self._disconnect()
            raise ConnectionRefusedError(f"logind refuses: {exc}") from exc
        except OSError:
            self._disconnect()
            raise

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
