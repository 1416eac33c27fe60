"""How a developer's processes run without privileges, also when the developer is root.

A process started by an ordinary user has none to begin with. One started by root gives up its user id when it can: an interpreter
below a home directory that only root may enter cannot be run by anyone else, and is then run as root with every capability gone,
which leaves it no more rights than any owner of those files has.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edged.errors import UsageError

NOBODY: Final = 65534
"""``nobody`` and ``nogroup`` on every Debian."""

_DROP_ALL: Final = ("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """A command prefix that drops privileges, who the process then is, and the owner its files need."""

    prefix: tuple[str, ...]
    words: str
    uid: int | None
    """Owner for the working directory; None leaves it as it is."""


def choose_privileges(command: Sequence[str], environ: Mapping[str, str] = os.environ) -> Privileges:
    """Find the least privileged way to run a command that this user has.

    Args:
        command: Something harmless that needs what the real processes need: the interpreter and edged's code.
        environ: Of the command.

    Raises:
        UsageError: Root without ``setpriv`` (util-linux).
    """
    if os.geteuid() != 0:
        return Privileges(prefix=(), words=f"user {os.geteuid()}", uid=None)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise UsageError("setpriv is not installed", hint="Install util-linux, or run this as an ordinary user.")
    as_nobody = (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *_DROP_ALL)
    probe = subprocess.run([*as_nobody, *command], env=environ, capture_output=True, check=False)  # noqa: S603 - our own command
    if probe.returncode == 0:
        return Privileges(prefix=as_nobody, words="user nobody", uid=NOBODY)
    return Privileges(prefix=(setpriv, *_DROP_ALL), words="root's files but no capability", uid=None)


def give(path: Path, privileges: Privileges) -> None:
    """Make the user that the processes run as the owner of a directory, or of a file."""
    if privileges.uid is not None:
        os.chown(path, privileges.uid, privileges.uid)
