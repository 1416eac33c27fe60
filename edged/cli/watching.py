"""Show something again and again, on a terminal in the same place."""

import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

WATCH_S: Final = 2.0
_CLEAR: Final = "\x1b[H\x1b[2J"


def show(read: Callable[[], T], render: Callable[[T], str], *, is_watching: bool) -> T:
    """Print what is read, once or until interrupted.

    Args:
        read: Asks for it.
        render: Makes it a text.
        is_watching: Show it anew every ``WATCH_S``.

    Returns:
        What was read, when it is shown once.
    """
    while True:
        value = read()
        text = render(value)
        print((_CLEAR if is_watching and sys.stdout.isatty() else "") + text, end="", flush=True)
        if not is_watching:
            return value
        time.sleep(WATCH_S)
