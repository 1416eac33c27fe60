"""Somebody who opens the files of a directory for a refresh, as edgectl does, or as nobody should."""

import array
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

from edged.cli.beneath import Beneath
from edged.cli.updater import find
from edged.update.origins.stick import Stick
from edged.update.protocol.asking import MAX_PACKET_BYTES, ListPacks, OpenFile, Reply, decode_told, encode_packet

Opener = Callable[[OpenFile | ListPacks], tuple[Reply | bytes, int | None]]


def opener_of(directory: Path, *, only: str | None = None) -> Opener:
    """Return what edgectl opens files with."""

    def answer(wanted: OpenFile | ListPacks) -> tuple[Reply, int | None]:
        with Beneath(directory) as beneath:
            return find(beneath, wanted, only=only)

    return answer


@contextmanager
def opened_by(opener: Opener | None) -> Iterator[socket.socket]:
    """Make the connection of a refresh to ``opener``; nobody answers when it is None, or from when it raises ``ConnectionError``."""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        if opener is None:
            yield ours
            return
        thread = Thread(target=_answer, args=(theirs, opener))
        thread.start()
        try:
            yield ours
        finally:
            ours.close()
            thread.join()


@contextmanager
def stick_of(opener: Opener | None, *, timeout_s: float = 30.0) -> Iterator[Stick]:
    """Make a stick whose files ``opener`` opens, as ``opened_by`` says."""
    with (
        opened_by(opener) as connection,
        closing(Stick(connection, timeout_s=timeout_s, on_answer=lambda: None)) as stick,
    ):
        yield stick


def _answer(connection: socket.socket, opener: Opener) -> None:
    try:
        while packet := connection.recv(MAX_PACKET_BYTES):
            send_reply(connection, *opener(decode_told(packet)))
    except ConnectionError:
        connection.close()


def send_reply(connection: socket.socket, reply: Reply | bytes, descriptor: int | None) -> None:
    """Answer a refresh; the descriptor that goes with it is closed here."""
    rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    connection.sendmsg([reply if isinstance(reply, bytes) else encode_packet(reply)], rights)
    if descriptor is not None:
        os.close(descriptor)


def write_tree(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a directory."""
    for path, data in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    return directory
