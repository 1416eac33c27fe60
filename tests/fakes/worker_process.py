"""A worker without a template: ``python -m tests.fakes.worker_process MODE CONTROL RUNS LOANS FILE...``, all of them descriptors.

MODE is ``confined``, where it gives up what a worker gives up, or ``watched``, where it says on standard error what it could not have done.
"""

import os
import socket
import sys
from functools import partial

from edged.footprint import give_back, read_pages
from edged.worker import template
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.confine import filter_calls, forbid_files
from edged.worker.serve import Confinement, serve

FORBIDDEN = {
    "import",
    "open",
    "os.listdir",
    "os.scandir",
    "ctypes.dlopen",
    "os.fork",
    "os.posix_spawn",
    "socket.__new__",
}


def watch() -> None:
    """Begin to say what a confined worker could not do."""

    def note(event: str, args: tuple[object, ...]) -> None:
        if event in FORBIDDEN:
            os.write(2, f"{event} {args}\n".encode())

    sys.addaudithook(note)


def main() -> None:
    mode, control, runs, loans, *files = sys.argv[1:]
    backend = OnnxRuntime()
    template.rehearse()
    confined = Confinement(forbid_files=forbid_files, filter_calls=filter_calls)
    watched = Confinement(forbid_files=watch, filter_calls=lambda: None)
    serve(
        socket.socket(fileno=int(control)),
        socket.socket(fileno=int(runs)),
        socket.socket(fileno=int(loans)),
        [int(descriptor) for descriptor in files],
        backend,
        watched if mode == "watched" else confined,
        settle=partial(give_back, read_pages()),
    )
    os._exit(0)  # as the template does: runs under way are left to themselves


if __name__ == "__main__":
    main()
