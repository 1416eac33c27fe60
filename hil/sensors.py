"""Talking to a board, and setting what its sensors measure."""

import json
import shlex
import time
from typing import Any

POLL_S = 1.0


class BoardError(Exception):
    """The board did not do what it was told, or not in time."""


class Board:
    """A shell on the board.

    Args:
        shell: labgrid's command driver.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def run(self, command: str, *, timeout_s: float = 60.0, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command and return what it printed.

        Raises:
            BoardError: It ended with another code than these.
        """
        out, error, code = self._shell.run(command, timeout=timeout_s)
        if code not in codes:
            raise BoardError(f"{command!r} ended with {code}:\n" + "\n".join([*out, *error]))
        return "\n".join(out)

    def json(self, command: str) -> Any:
        """Run a command that prints a JSON document; degraded (6) is a state like any other."""
        return json.loads(self.run(command, codes=(0, 6)))

    def wait_for(self, command: str, *, timeout_s: float) -> str:
        """Run a command again and again until it succeeds, and return what it printed.

        Raises:
            BoardError: It did not in time; the message has what it said last.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            out, error, code = self._shell.run(command, timeout=60.0)
            if code == 0:
                return "\n".join(out)
            if time.monotonic() > end_s:
                raise BoardError(
                    f"{command!r} still ended with {code} after {timeout_s} s:\n" + "\n".join([*out, *error])
                )
            time.sleep(POLL_S)


class Chips:
    """Sets heat, charge and network of the virtual board; ``hil/board/chips`` writes the registers.

    Args:
        board: Where they are.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    def begin(self) -> None:
        """Bind the drivers; the board is cool and full."""
        self._board.run("chips begin")

    def set(self, name: str, *values: object) -> None:
        """Set one: ``heat`` degrees Celsius, ``battery`` percent and state, ``network`` on or off."""
        self._board.run("chips " + shlex.join([name, *map(str, values)]))

    def frequency_mhz(self, processor: int) -> int:
        """Return the frequency that a processor's register was last told."""
        return 100 * int(self._board.run(f"chips frequency {processor}"))
