"""What a command's exit code says, and how a command ends: one table of errors, one way to print them."""

import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum
from typing import Final, TextIO

from edged import errors
from edged.cli.table import printable
from edged.cli.words import duration
from edged.errors import EdgedError


class Exit(IntEnum):
    """Every exit code of ``edged``, ``edgectl`` and ``edge-publish``."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_PERMITTED = 4
    NOT_FOUND = 5
    DEGRADED = 6
    NOTHING_TO_DO = 7
    BUSY = 8
    TIMEOUT = 9
    VERIFICATION_FAILED = 10


EXITS: Final[Mapping[type[EdgedError], Exit]] = {
    EdgedError: Exit.FAILED,
    errors.DocumentError: Exit.FAILED,
    # The operator acts.
    errors.ConfigError: Exit.USAGE,
    errors.PolicyError: Exit.FAILED,
    errors.UsageError: Exit.USAGE,
    # The publisher acts.
    errors.BundleError: Exit.VERIFICATION_FAILED,
    errors.ManifestError: Exit.VERIFICATION_FAILED,
    errors.UnsafeModelError: Exit.VERIFICATION_FAILED,
    errors.SecretFoundError: Exit.VERIFICATION_FAILED,
    errors.ValidationFailedError: Exit.VERIFICATION_FAILED,
    errors.ShadowFailedError: Exit.VERIFICATION_FAILED,
    errors.IncompatibleError: Exit.FAILED,
    errors.BelowFloorError: Exit.FAILED,
    errors.TrustError: Exit.VERIFICATION_FAILED,
    errors.SignatureInvalidError: Exit.VERIFICATION_FAILED,
    errors.MetadataExpiredError: Exit.VERIFICATION_FAILED,
    errors.MetadataRollbackError: Exit.VERIFICATION_FAILED,
    errors.DigestMismatchError: Exit.VERIFICATION_FAILED,
    # The network.
    errors.FetchError: Exit.FAILED,
    errors.HostUnreachableError: Exit.FAILED,
    errors.NameUnresolvedError: Exit.FAILED,
    errors.TlsError: Exit.FAILED,
    errors.PortalError: Exit.FAILED,
    errors.ProxyError: Exit.FAILED,
    errors.FileMissingError: Exit.NOT_FOUND,
    errors.GateRefusedError: Exit.NOT_PERMITTED,
    # The device.
    errors.StoreError: Exit.FAILED,
    errors.DiskFullError: Exit.FAILED,
    errors.BackendError: Exit.FAILED,
    errors.ModelLoadError: Exit.FAILED,
    errors.WorkerLostError: Exit.FAILED,
    errors.DeadlineError: Exit.TIMEOUT,
    errors.UnavailableError: Exit.BUSY,
    errors.DeferredError: Exit.BUSY,
    errors.PolicyLimitError: Exit.BUSY,
    errors.ModelStoppedError: Exit.DEGRADED,
    errors.OffloadError: Exit.BUSY,
    errors.NothingToDoError: Exit.NOTHING_TO_DO,
    errors.QuotaError: Exit.BUSY,
    errors.DaemonUnreachableError: Exit.UNREACHABLE,
    # The caller.
    errors.RequestError: Exit.USAGE,
    errors.TensorError: Exit.USAGE,
    errors.BodyTooLargeError: Exit.USAGE,
    errors.ModelUnknownError: Exit.NOT_FOUND,
    errors.FlagUnknownError: Exit.NOT_FOUND,
    errors.PathUnknownError: Exit.NOT_FOUND,
    errors.ModelChangedError: Exit.FAILED,
    errors.SequenceError: Exit.FAILED,
    errors.PoisonError: Exit.FAILED,
    errors.NotPermittedError: Exit.NOT_PERMITTED,
    errors.PolicyDeniedError: Exit.NOT_PERMITTED,
}

MAX_MESSAGE: Final = 3500
"""Characters of an error that are printed."""

_SHOWN_AROUND: Final = 20
"""Characters on both sides of one that cannot be written."""

INTERRUPTED: Final = 130
"""What a shell reports for a command that SIGINT ended."""


def exit_code_for(error: BaseException) -> Exit:
    """Find the exit code of an error: that of the nearest class in its method resolution order.

    An error that is not edged's own is a failure.
    """
    return next((EXITS[cls] for cls in type(error).__mro__ if cls in EXITS), Exit.FAILED)


def run_command(main: Callable[[], int | None]) -> int:
    """Run one verb and turn how it ended into an exit code.

    An ``EdgedError`` is printed on standard error as one sentence with its code, then its hint, and what the system refuses (a full
    disk behind standard output) as one sentence; a traceback never is. Any other exception is a bug and passes through. What a terminal's
    encoding does not have is printed as escapes, and an output that was closed beforehand takes everything.

    Args:
        main: The verb; None means it went well.
    """
    _prepare_outputs()
    try:
        return _run(main)
    finally:
        _give_up_on(sys.stderr)


def _run(main: Callable[[], int | None]) -> int:
    try:
        code = main() or Exit.OK
        # Flushed here, so that a reader that has left is found out while it can still be dealt with.
        sys.stdout.flush()
    except EdgedError as exc:
        print_error(exc)
        return exit_code_for(exc)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # `edgectl ... | head`: whoever read has enough.
        _give_up_on(sys.stdout)
        return Exit.OK
    except UnicodeEncodeError as exc:
        # Arguments are bytes. Those that are no text have come as surrogates, which no document and no name can have.
        around = exc.object[max(0, exc.start - _SHOWN_AROUND) : exc.end + _SHOWN_AROUND]
        print_error(errors.UsageError(f"{around!r} is not UTF-8", hint="Write it in UTF-8, and look at the locale."))
        return Exit.USAGE
    except OSError as exc:
        _give_up_on(sys.stdout)
        place = f"{exc.filename}: " if exc.filename else ""
        print_error(EdgedError(f"{place}{exc.strerror or exc}"))
        return Exit.FAILED
    return int(code)


def _prepare_outputs() -> None:
    for name in ("stdout", "stderr"):
        output = getattr(sys, name)
        if output is None:  # it was closed: `edgectl ... >&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as the process lives
        elif isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")


def _give_up_on(output: TextIO) -> None:
    """Drop what cannot be written: the interpreter flushes once more at exit, which must not fail again."""
    try:
        output.flush()
    except OSError:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123 - no Path needed for one name
            os.dup2(nothing.fileno(), output.fileno())


def print_error(error: EdgedError) -> None:
    """Print an error for a person on standard error: a sentence and its code, then when to come again, and a hint, where there are any.

    Problems of a document take a line each. A message may quote what comes from outside, so it is made safe for a terminal and cut where
    it would fill screens.
    """
    message = "\n".join(map(printable, _sentences(error)))
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}..."
    wait_s = error.retry_after_s if isinstance(error, errors.UnavailableError | errors.QuotaError) else 0
    # A second is no time for a person.
    again = f"again after {duration(wait_s)}\n" if wait_s > 1 else ""
    hint = f"hint: {printable(error.hint)}\n" if error.hint else ""
    # Where it cannot be written, the exit code still says what it was.
    with suppress(OSError):
        sys.stderr.write(f"{message} [{error.code}]\n{again}{hint}")


def _sentences(error: EdgedError) -> Sequence[str]:
    return error.lines if isinstance(error, errors.DocumentError) else (error.message,)
