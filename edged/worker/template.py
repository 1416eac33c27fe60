"""The warm process that workers are forked from: ``python -m edged.worker.template FD``.

It imports the runtime once, so that a worker starts in milliseconds and shares the library's memory with all others. It has one
thread, loads no model, and does what comes over the inherited SOCK_SEQPACKET socket ``FD`` (``edged.runtime.control``): fork a worker
and hand it the descriptors that came along, report its pidfd, and report its end. It ends when the socket closes; the kernel then ends
its workers.

A worker cannot open files once it has seen its model, so whatever it may import then is imported here; what only some pipelines need
(an image decoder) a worker imports itself before.
"""

import contextlib
import gc
import io
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Final

from edged.files import hash_bytes
from edged.footprint import Range, give_back, read_pages
from edged.runtime.control import (
    MAX_DATAGRAM_BYTES,
    MAX_DESCRIPTORS,
    Exited,
    Fork,
    Forked,
    ForkFailed,
    Ready,
    decode_to_template,
    encode,
)
from edged.runtime.wire import WireError
from edged.worker.backends import Backend
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.confine import close_all_but, filter_calls, forbid_files, limit_worker, set_name
from edged.worker.serve import Confinement, serve

Settle = Callable[[], None]
"""Gives back what starting, loading or running needed."""
SHARED_STEPS: Final = (
    "arrays",
    "detection",
    "embeddings",
    "files",
    "graph",
    "regression",
    "scores",
    "sequence",
    "shapes",
)
"""Modules of ``edged.pipeline.kernels`` that all workers share: together 5 ms and 0.2 MB here, 10 ms and 0.8 MB in each worker otherwise.

The others cost more than a worker without such steps should pay: those on images take 50 ms and 4 MB.
"""


def main(arguments: Sequence[str]) -> None:
    """Run the template until its socket closes."""
    descriptor = int(arguments[0])
    close_all_but({0, 1, 2, descriptor})
    # A stop reaches the daemon, which finishes what is running and then closes the socket.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    set_name("edged-template")
    backend = OnnxRuntime()
    rehearse()
    # What is here stays for ever: a collector that writes into it would un-share it from every worker.
    gc.collect()
    gc.freeze()
    settle = partial(_settle, backend, read_pages())
    settle()
    with socket.socket(fileno=descriptor) as control:
        _run(control, backend, settle)


def rehearse() -> None:
    """Do what imports something on the way, so that a worker has it: format a traceback, hash, prepare steps."""
    try:
        raise ZeroDivisionError  # noqa: TRY301 - it is only to have been raised
    except ZeroDivisionError:
        traceback.print_exc(file=io.StringIO())
    hash_bytes(b"")
    for kind in SHARED_STEPS:
        import_module(f"edged.pipeline.kernels.{kind}")


def _settle(backend: Backend, pages: Sequence[Range]) -> None:
    backend.shrink()
    give_back(pages)


def _run(control: socket.socket, backend: Backend, settle: Settle) -> None:
    control.send(encode(Ready(runtime=backend.runtime)))
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fileobj)
                    control.send(encode(_reap(key.fd, key.data)))
                    continue
                data, descriptors, _, _ = socket.recv_fds(control, MAX_DATAGRAM_BYTES, MAX_DESCRIPTORS)
                if not data:
                    return
                if started := _fork(control, decode_to_template(data), descriptors, backend, settle):
                    selector.register(started[0], selectors.EVENT_READ, data=started[1])


def _reap(pidfd: int, pid: int) -> Exited:
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    if result is None:
        raise ChildProcessError(pid)
    return Exited(pid=pid, status=result.si_status if result.si_code == os.CLD_EXITED else -result.si_status)


def _fork(
    control: socket.socket, request: Fork, descriptors: list[int], backend: Backend, settle: Settle
) -> tuple[int, int] | None:
    """Start a worker; return its pidfd and pid, or None after reporting why there is none."""
    template = os.getpid()
    try:
        pid = os.fork()
        if not pid:
            _work(request, descriptors, backend, settle, template)
        pidfd = os.pidfd_open(pid)
    except OSError as exc:
        control.send(encode(ForkFailed(request=request.request, message=str(exc))))
        return None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    socket.send_fds(control, [encode(Forked(request=request.request, pid=pid))], [pidfd])
    return pidfd, pid


def _work(request: Fork, descriptors: list[int], backend: Backend, settle: Settle, template: int) -> None:
    """Be a worker; never returns."""
    status = 1
    try:
        close_all_but({0, 1, 2, *descriptors})
        limit_worker(memory_bytes=request.memory_limit_bytes, parent=template, name=f"edged-{request.name}")
        control, runs, loans = (socket.socket(fileno=descriptor) for descriptor in descriptors[:3])
        confinement = Confinement(forbid_files=forbid_files, filter_calls=filter_calls)
        # The daemon sees a broken channel in any case; there is nobody else to tell.
        with contextlib.suppress(WireError, BrokenPipeError, ConnectionResetError):
            serve(control, runs, loans, descriptors[3:], backend, confinement, settle=settle)
            status = 0
    except Exception:  # noqa: BLE001 - the process ends here, whatever it was
        traceback.print_exc()
    finally:
        # Not sys.exit: the stack below is the template's, and so are the buffers an orderly exit would flush.
        os._exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
