"""The refresh process: ``python -m edged.update.refresh FD [STICK]``. Brings the store up to date once, says what it found, and ends.

It takes one task over the inherited stream socket ``FD`` (``edged.update.protocol.messages``), reports its steps there and, at last, its
finding. Where it inherits a second socket, ``STICK``, files come from whoever is at its other end (``edged.update.origins.stick``), not
from the network. It never outlives the updater, whose end closes that socket; and it may be killed at any moment.
"""

import os
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from edged import journal
from edged.clock import SystemClock
from edged.update.protocol.messages import decode_task, encode
from edged.update.refresh.finding import find, find_on_stick
from edged.update.refresh.teller import Teller, leave


def main(arguments: Sequence[str]) -> None:
    """Do what the updater asks for."""
    journal.set_up("edged-update")
    # A copy: the descriptor itself stays open until the process is really gone, and the updater sees its end no earlier.
    with socket.socket(fileno=os.dup(int(arguments[0]))) as channel:
        with channel.makefile("rb") as lines:
            task = decode_task(lines.readline())
        threading.Thread(target=_watch, args=(channel,), daemon=True).start()
        clock = SystemClock()
        teller = Teller(channel, clock)
        if len(arguments) > 1:
            stick = socket.socket(fileno=int(arguments[1]))
            found = find_on_stick(stick, task, clock, teller.report, on_answer=teller.go_on, tell=teller.tell)
        else:
            found = find(task, clock, teller.report, on_answer=teller.go_on, tell=teller.tell)
        channel.sendall(encode(found))


def _watch(channel: socket.socket) -> None:
    """End this process when the updater is gone or wants no answer any more; it sends nothing after its task."""
    with suppress(OSError):
        channel.recv(1)
    leave()


if __name__ == "__main__":
    main(sys.argv[1:])
