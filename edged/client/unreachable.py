"""What to say when nobody answers. Standard library only."""

from edged.errors import DaemonUnreachableError, EdgedError, NotPermittedError


def unreachable(path: str, cause: Exception) -> EdgedError:
    """Return the error for a socket that cannot be used."""
    if isinstance(cause, PermissionError):
        return NotPermittedError(
            f"This user may not open {path}.",
            hint="Apps need to be in group edged: adduser USER edged, then log in again.",
        )
    return DaemonUnreachableError(
        f"The daemon does not answer at {path}: {cause}.", hint="systemctl status edged says whether it runs."
    )
