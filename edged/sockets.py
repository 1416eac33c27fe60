"""Listening Unix sockets: handed over by systemd, or bound by the process itself.

Under systemd the socket units own paths, modes and groups (``sd_listen_fds(3)``). Without them, as in ``edged dev``, a process binds
the path itself and nobody may connect before mode and group are right.
"""

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START of ``sd_listen_fds(3)``."""


def activated(name: str, *, environ: Mapping[str, str] = os.environ, first_fd: int = FIRST_FD) -> socket.socket | None:
    """Take over the listening socket that systemd passed under a name.

    Args:
        name: ``FileDescriptorName=`` of the socket unit.
        environ: Where LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are read from.
        first_fd: Number of the first descriptor passed.

    Returns:
        The socket, which the caller closes and never unlinks; None when systemd passed none of that name to this process.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environ.get("LISTEN_FDNAMES", "").split(":")[: int(environ.get("LISTEN_FDS", "0"))]
    if name not in names:
        return None
    descriptor = first_fd + names.index(name)
    fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return socket.socket(fileno=descriptor)


def bind_unix(
    path: Path, *, mode: int, group: int | None = None, kind: socket.SocketKind = socket.SOCK_STREAM
) -> socket.socket:
    """Bind and listen on a Unix socket; a socket file that nobody listens on any more is replaced.

    Args:
        path: At most 107 bytes.
        mode: Who may connect; needs the write bit.
        group: Group id that the file gets; None keeps the process's own.
        kind: Stream, or sequenced packets.

    Returns:
        The listening socket. The caller closes it and removes the file.

    Raises:
        OSError: EADDRINUSE when another process listens there or the path is not a socket; else as the system says.
    """
    _remove_stale(path, kind)
    listener = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        # Nobody may connect before the mode is final: the file appears without any permission, and listens last.
        mask = os.umask(0o777)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        if group is not None:
            os.chown(path, -1, group)
        path.chmod(mode)
        listener.listen(socket.SOMAXCONN)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path, kind: socket.SocketKind) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if is_socket:
        with socket.socket(socket.AF_UNIX, kind) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
            except OSError as exc:
                if exc.errno != errno.EPROTOTYPE:  # somebody listens, on a socket of another kind
                    raise
    raise OSError(
        errno.EADDRINUSE, "another process listens here" if is_socket else "exists and is not a socket", str(path)
    )
