"""What the services do alike from their command line to their exit code."""

import logging
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edged import journal
from edged.config.load import load_config
from edged.config.schema import Config
from edged.errors import EdgedError
from edged.sockets import activated, bind_unix

LOG = logging.getLogger(__name__)

SOCKET_MODE: Final = 0o660

Serve = Callable[[Config, Sequence[Path]], None]
"""Runs until it is told to stop. Takes the settings, and the files they came from, for reading them again."""


def run_service(argv: Sequence[str] | None, *, verb: str, identifier: str, description: str, serve: Serve) -> int:
    """Read the command line and the settings, and serve.

    Args:
        argv: Arguments after the verb; None takes the process's own.
        verb: As in ``edged VERB``.
        identifier: Name in the journal.
        description: For ``--help``.
        serve: The service.

    Returns:
        0 after a stop that was asked for, 1 when it could not start.
    """
    paths = _settings(sys.argv[1:] if argv is None else argv, verb=verb, description=description)
    journal.set_up(identifier)
    try:
        serve(load_config(paths), paths)
    except (EdgedError, OSError) as error:
        LOG.error("cannot run: %s", error)  # noqa: TRY400 - the operator needs the sentence, not the traceback
        return 1
    return 0


def _settings(arguments: Sequence[str], *, verb: str, description: str) -> list[Path]:
    if not arguments:
        return []
    # Imported here: units start services without arguments, and those have 0.4 MB less without it.
    import argparse  # noqa: PLC0415 - see above

    parser = argparse.ArgumentParser(prog=f"edged {verb}", description=description)
    parser.add_argument(
        "--config", action="append", type=Path, default=[], help="file or directory; may be given again"
    )
    paths: list[Path] = parser.parse_args(arguments).config
    return paths


@contextmanager
def listening(name: str, path: Path, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    """Hold the listening socket that systemd passed under ``name``, or else bind ``path`` and remove it at the end.

    Raises:
        OSError: The path is taken or cannot be bound.
    """
    inherited = activated(name)
    listener = inherited or bind_unix(path, mode=SOCKET_MODE, kind=kind)
    try:
        yield listener
    finally:
        listener.close()
        if inherited is None:
            path.unlink(missing_ok=True)
