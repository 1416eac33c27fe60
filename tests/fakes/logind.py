"""A system bus of a test's own (dbus-daemon), and on it something that answers as systemd-logind does."""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jeepney import (
    DBusAddress,
    HeaderFields,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import open_dbus_connection

needs_bus = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon (package dbus-daemon)")

NAME = "org.freedesktop.login1"
ROOT = "/org/freedesktop/login1"
_CONFIG = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""


def session(**other):
    """Return what logind says of a session, with its types: a desktop on the first seat that somebody uses."""
    said = {
        "Class": ("s", "user"),
        "Type": ("s", "wayland"),
        "Seat": ("(so)", ("seat0", f"{ROOT}/seat/seat0")),
        "Active": ("b", True),
        "TimestampMonotonic": ("t", 1_000_000_000),
        "IdleHint": ("b", False),
        "IdleSinceHintMonotonic": ("t", 2_000_000_000),
        "Name": ("s", "somebody"),
    }
    return said | {name: (said[name][0], value) for name, value in other.items()}


@dataclass(slots=True)
class FakeLogind:
    """Has sessions by their number; what is None is listed and has ended since."""

    bus: str
    sessions: dict[str, dict[str, tuple[str, object]] | None] = field(default_factory=dict)
    is_deaf: bool = False
    """It takes questions and answers none."""
    asked: list[str] = field(default_factory=list)
    _connection: object = None

    def start(self) -> None:
        """Take the name, and answer in a thread of its own."""
        self._connection = open_dbus_connection(self.bus)
        reply = self._connection.send_and_get_reply(message_bus.RequestName(NAME))
        assert reply.body == (1,)
        threading.Thread(target=self._serve, daemon=True).start()

    def tell(self) -> None:
        """Say that something about a session has changed."""
        emitter = DBusAddress(f"{ROOT}/session/_31", interface="org.freedesktop.DBus.Properties")
        body = (f"{NAME}.Session", {"IdleHint": ("b", True)}, [])
        self._connection.send(new_signal(emitter, "PropertiesChanged", "sa{sv}as", body))

    def _serve(self) -> None:
        with self._connection, contextlib.suppress(OSError):  # the bus has ended
            while True:
                message = self._connection.receive()
                if message.header.message_type is MessageType.method_call and not self.is_deaf:
                    self._connection.send(self._answer(message))

    def _answer(self, message):
        member = message.header.fields[HeaderFields.member]
        path = message.header.fields[HeaderFields.path]
        self.asked.append(member)
        if member == "ListSessions":
            listed = [
                (name, 1000, "somebody", "seat0" if said is None else said["Seat"][1][0], f"{ROOT}/session/{name}")
                for name, said in self.sessions.items()
            ]
            return new_method_return(message, "a(susso)", (listed,))
        said = self.sessions[path.rpartition("/")[2]]
        if said is None:
            return new_error(message, f"{NAME}.NoSuchSession", "s", ("it has ended",))
        return new_method_return(message, "a{sv}", (said,))


@contextmanager
def private_bus(directory: Path) -> Iterator[str]:
    """Run a bus; yields its address."""
    address = f"unix:path={directory / 'bus'}"
    config = directory / "bus.conf"
    config.write_text(_CONFIG.format(address=address))
    command = ["dbus-daemon", "--nofork", "--nopidfile", "--nosyslog", f"--config-file={config}", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline(), "dbus-daemon did not start"
            yield address
        finally:
            process.terminate()
