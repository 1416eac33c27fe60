"""edgectl's side of the updater's control socket: look for updates now, or bring them from a directory.

Two functions, and what they return:

    check(socket, report)                 has the updater poll the repository at once
    apply(socket, source, report)         brings the store up to date with a directory or a packed bundle beside its metadata

``report`` is called with each ``Step`` (``edged.update.protocol.messages``): its phase, and its progress while something is fetched. It is
called for whatever the updater is busy with until the question's own turn comes, too. Both return an ``Ending``: what is new in the store,
and the error that kept other things from coming, if there was one; raise it after the new things were told. They raise only what keeps the
question itself from being asked or answered.

There is no deadline: a download may take hours, and a watchdog sees to an updater that hangs. Its end closes the connection.
"""

import array
import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edged.cli.beneath import Beneath, BeneathError
from edged.errors import DaemonUnreachableError, EdgedError, NotPermittedError, UsageError
from edged.problems import error_from
from edged.update.protocol.asking import (
    MAX_PACKET_BYTES,
    MAX_PACKS,
    Apply,
    Check,
    ListPacks,
    NotOpened,
    Opened,
    OpenFile,
    Outcome,
    Packs,
    Reply,
    Request,
    Told,
    decode_told,
    encode_packet,
)
from edged.update.protocol.messages import Failure, MessageError, Step
from edged.update.protocol.phases import Deferred

Report = Callable[[Step], None]

PACK_SUFFIX = ".edgeb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a check or an apply ended."""

    staged: tuple[str, ...]
    """``MODEL VERSION`` of each bundle that is new in the store."""
    error: EdgedError | None
    """Of the class that has its code; None when nothing failed."""
    deferred: Deferred | None
    """Why bundles are not fetched now although nothing failed."""


def check(socket_path: str, report: Report) -> Ending:
    """Have the updater look for updates now, and wait until it has.

    Args:
        socket_path: The updater's control socket (``paths.update_control``).
        report: Told each step.

    Raises:
        DaemonUnreachableError: Nothing answers at the socket, or the updater ended in the middle.
        NotPermittedError: This user may not open the socket.
    """
    with closing(_ask(socket_path, Check())) as connection:
        return _listen(connection, report, answer=_refuse)


def apply(socket_path: str, source: Path, report: Report) -> Ending:
    """Have the updater bring in what a directory holds, and wait until it has. This process opens the files, as the user it runs as.

    Args:
        socket_path: The updater's control socket (``paths.update_control``).
        source: A directory with ``metadata/`` and ``targets/``, and with ``blobs/`` and ``index/`` or packed bundles (``*.edgeb``); or
            one packed bundle in such a directory.
        report: Told each step.

    Raises:
        UsageError: ``source`` cannot be read.
        DaemonUnreachableError: Nothing answers at the socket, or the updater ended in the middle.
        NotPermittedError: This user may not open the socket.
    """
    try:
        only = source.name if source.is_file() else None
        beneath = Beneath(source.parent if only else source)
    except OSError as exc:
        raise UsageError(
            f"{source} cannot be read: {exc.strerror}", hint="Name a directory with metadata/ and targets/ in it."
        ) from exc
    with closing(beneath), closing(_ask(socket_path, Apply())) as connection:
        return _listen(connection, report, answer=lambda wanted: find(beneath, wanted, only=only))


def _ask(socket_path: str, request: Request) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(socket_path)
        connection.send(encode_packet(request))
    except PermissionError as exc:
        connection.close()
        raise NotPermittedError(
            f"This user may not open {socket_path}.",
            hint="Administrators need to be in group edged-admin: adduser USER edged-admin, then log in again.",
        ) from exc
    except OSError as exc:
        connection.close()
        raise DaemonUnreachableError(
            f"The updater does not answer at {socket_path}: {exc.strerror}.",
            hint="systemctl status edged-update.socket edged-update.service says whether it runs; --updater names another socket.",
        ) from exc
    return connection


def _listen(
    connection: socket.socket,
    report: Report,
    *,
    answer: Callable[[OpenFile | ListPacks], tuple[Reply, int | None]],
) -> Ending:
    while True:
        match _receive(connection):
            case Step() as step:
                report(step)
            case Outcome(staged=staged, failure=failure, deferred=deferred):
                error = None if failure is None else _error(failure)
                return Ending(staged=staged, error=error, deferred=deferred)
            case OpenFile() | ListPacks() as wanted:
                _send(connection, *answer(wanted))


def _receive(connection: socket.socket) -> Told:
    try:
        packet = connection.recv(MAX_PACKET_BYTES)
        if packet:
            return decode_told(packet)
    except (OSError, MessageError) as exc:
        raise _gone(str(exc)) from exc
    raise _gone("it closed the connection")


def _send(connection: socket.socket, reply: Reply, descriptor: int | None) -> None:
    try:
        if descriptor is None:
            connection.send(encode_packet(reply))
            return
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        connection.sendmsg([encode_packet(reply)], [rights])
    except OSError as exc:
        raise _gone(str(exc)) from exc
    finally:
        if descriptor is not None:
            os.close(descriptor)


def find(beneath: Beneath, wanted: OpenFile | ListPacks, *, only: str | None) -> tuple[Reply, int | None]:
    """Answer the refresh process, with a descriptor where it gets one.

    Args:
        beneath: Where to look.
        wanted: What it asks for.
        only: The one packed bundle to name; None names all.

    Returns:
        The reply, and the descriptor that goes with it, which the caller closes.
    """
    path = wanted.path if isinstance(wanted, OpenFile) else None
    try:
        if path is not None:
            return Opened(path=path), beneath.open(path)
        names = (
            [only] if only else [name for name in beneath.names() if name.endswith(PACK_SUFFIX) and name.isprintable()]
        )
        return Packs(names=tuple(names[:MAX_PACKS])), None
    except BeneathError as exc:
        return NotOpened(path=path, cause="refused", reason=str(exc)), None
    except (FileNotFoundError, NotADirectoryError) as exc:
        return NotOpened(path=path, cause="missing", reason=exc.strerror or str(exc)), None
    except PermissionError as exc:
        return NotOpened(path=path, cause="refused", reason=exc.strerror or str(exc)), None
    except OSError as exc:
        return NotOpened(path=path, cause="broken", reason=exc.strerror or str(exc)), None


def _refuse(wanted: OpenFile | ListPacks) -> tuple[Reply, int | None]:
    path = wanted.path if isinstance(wanted, OpenFile) else None
    return NotOpened(path=path, cause="refused", reason="no directory was offered"), None


def _error(failure: Failure) -> EdgedError:
    return error_from(0, failure.code, failure.describe(), hint=failure.hint)


def _gone(why: str) -> DaemonUnreachableError:
    return DaemonUnreachableError(
        f"The updater ended before it answered: {why}.", hint="journalctl -u edged-update.service says why."
    )
