"""Open regular files strictly below a directory, and nothing else, whatever the directory holds and whoever names the path.

A path is walked one name at a time, and no link is followed on the way. What stands at its end is looked at before it is opened for
reading, because opening alone can do something: a FIFO waits for a writer, a device may act.
"""

import os
import stat
from pathlib import Path
from typing import Final, Self

_STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class BeneathError(ValueError):
    """There is something of that name, and it is not opened."""


class Beneath:
    """One directory and what lies below it.

    Args:
        directory: Links in this path itself are followed: it was named by the person who asks.

    Raises:
        OSError: It is no directory, or cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the directory."""
        os.close(self._top)

    def names(self) -> list[str]:
        """Return the names directly in the directory, sorted.

        Raises:
            OSError: It cannot be read.
        """
        return sorted(os.listdir(self._top))  # noqa: PTH208 - a descriptor, which Path cannot list

    def open(self, path: str) -> int:
        """Open a regular file for reading.

        Args:
            path: Relative; its parts are names.

        Returns:
            A descriptor, which the caller closes.

        Raises:
            BeneathError: It leads outside, over a link, or to something that is no regular file.
            OSError: It is not there, or cannot be read.
        """
        parts = path.split("/")
        if any(part in {"", ".", ".."} for part in parts):
            raise BeneathError("the path leads elsewhere")
        *directories, name = parts
        place = os.dup(self._top)
        try:
            for part in directories:
                place = _replace(place, os.open(part, _STEP, dir_fd=place))
                if stat.S_ISLNK(os.fstat(place).st_mode):
                    raise BeneathError(f"{part} is a symbolic link")
            place = _replace(place, os.open(name, _STEP, dir_fd=place))
            mode = os.fstat(place).st_mode
            if not stat.S_ISREG(mode):
                raise BeneathError("a symbolic link" if stat.S_ISLNK(mode) else "no regular file")
            # The very file that was looked at: a name could be something else by now.
            return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        finally:
            os.close(place)


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new
