"""Somebody at the device, as systemd-logind knows it: a session on the first seat, whose desktop says that it is used, or idle.

Runs inside the device as root: what opens sessions elsewhere is PAM, for whoever logs in. SIGUSR1 has the desktop say that it is idle.
"""

import os
import signal
import sys

from jeepney import DBusAddress, Properties, new_method_call
from jeepney.io.blocking import open_dbus_connection
from jeepney.wrappers import unwrap_msg

NAME, ROOT = "org.freedesktop.login1", "/org/freedesktop/login1"


def main(uid: int) -> None:
    """Log somebody in, and stay until this is ended; systemd-logind forgets the session then."""
    with open_dbus_connection("unix:path=/run/dbus/system_bus_socket", enable_fds=True) as bus:

        def ask(path: str, interface: str, method: str, signature: str, body: tuple[object, ...]) -> tuple[object, ...]:
            call = new_method_call(DBusAddress(path, NAME, f"{NAME}.{interface}"), method, signature, body)
            return unwrap_msg(bus.send_and_get_reply(call, timeout=60.0))

        def set_idle(*, is_idle: bool) -> None:
            ask(path, "Session", "SetIdleHint", "b", (is_idle,))

        # In the order of org.freedesktop.login1(5): who, with what, where, and that it is nobody from afar.
        body = (uid, os.getpid(), "kiosk", "wayland", "user", "", "seat0", 0, "", "", False, "", "", [])
        _, path, _, held, *_ = ask(ROOT, "Manager", "CreateSession", "uusssssussbssa(sv)", body)
        # As long as somebody has the other end of this open, the session goes on.
        held = held.to_raw_fd()
        (found,) = unwrap_msg(bus.send_and_get_reply(Properties(DBusAddress(path, NAME, f"{NAME}.Session")).get_all()))
        print({name: value for name, (_, value) in found.items()}, flush=True)  # noqa: T201
        # A desktop has been idle for the first time before it is used.
        set_idle(is_idle=True)
        set_idle(is_idle=False)
        signal.sigwait({signal.SIGUSR1})
        set_idle(is_idle=True)
        signal.pause()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    main(int(sys.argv[1]))
