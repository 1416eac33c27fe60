"""``python3 -m edged.frequency apply|undo``: what edged-frequency@.service runs; sets ``scaling_max_freq`` as the daemon wishes, or back.

It reads the wish and what it did before, writes the limits, and ends once that is still the wish; two of them take turns. A processor that
refuses is named in the journal and does not keep the others from theirs; what was done is remembered before it is done, so that an undo
finds it whatever happens in between.
"""

import argparse
import fcntl
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from edged import journal
from edged.codec import Document, decode_json, encode_canonical
from edged.config.schema import PathsConfig
from edged.errors import EdgedError
from edged.files import read_limited, replace_shown
from edged.frequency.caps import Capped, Processors, choose_caps, is_doubtful, is_somebodys
from edged.frequency.kernel import COOLING, CPUFREQ, Cpufreq
from edged.frequency.wish import WHOLE, read_wish

LOG = logging.getLogger(__name__)

KNOWN: Final = Path("/run/edged-frequency/capped.json")
MAX_KNOWN_BYTES: Final = 1 << 18


class Known(Document, frozen=True, kw_only=True):
    """What was done and not undone; forgotten with each boot, like the limits themselves."""

    schema: Literal[1] = 1
    policies: dict[str, Capped] = msgspec.field(default_factory=dict)


class Kernel(Protocol):
    """What has the limits; ``edged.frequency.kernel.Cpufreq`` is the real one."""

    def read(self) -> Sequence[Processors]:
        """Read all policies."""
        ...

    def set_limit(self, name: str, limit: int) -> int | None:
        """Set the limit of a policy, in kHz; returns what is shown then, or None when it is refused."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Set the limits; returns 0 when each was taken, else 1."""
    parser = argparse.ArgumentParser(prog="edged.frequency", description="Cap the frequency of processors, or undo it.")
    parser.add_argument("what", choices=("apply", "undo"))
    parser.add_argument("--wish", type=Path, default=Path(PathsConfig().frequency_wish))
    parser.add_argument("--cpufreq", type=Path, default=CPUFREQ)
    parser.add_argument("--cooling", type=Path, default=COOLING)
    parser.add_argument("--known", type=Path, default=KNOWN)
    args = parser.parse_args(argv)
    journal.set_up("edged-frequency")
    try:
        kernel = Cpufreq(args.cpufreq, args.cooling)
        with _taking_turns(args.known.parent):
            is_done = (
                undo(kernel, known=args.known) if args.what == "undo" else follow(kernel, args.wish, known=args.known)
            )
    except (EdgedError, OSError) as exc:
        LOG.error("no frequency was capped: %s", exc)  # noqa: TRY400 - the operator needs the sentence, not the traceback
        return 1
    return 0 if is_done else 1


def follow(kernel: Kernel, wish: Path, *, known: Path) -> bool:
    """Set the limits as wished, and again where the wish has changed meanwhile; returns whether each was taken in the end.

    A path unit does not watch while what it has started runs: without a second look, such a wish would wait for the one after it.

    Args:
        kernel: What has the limits.
        wish: The document.
        known: Where to remember what was done.

    Raises:
        EdgedError: The wish is none.
        OSError: It cannot be read, or what is done cannot be remembered.
    """
    followed, is_done = None, True
    while (share := read_wish(wish).share) != followed:
        is_done = set_limits(kernel, share, known=known)
        followed = share
    return is_done


def set_limits(kernel: Kernel, share: float, *, known: Path) -> bool:
    """Set the limits of all processors; returns whether each was taken.

    Args:
        kernel: What has the limits.
        share: Of the highest frequency; 1 gives back what was set before.
        known: Where to remember what was done.

    Raises:
        OSError: It cannot be remembered, so nothing was done.
    """
    processors = kernel.read()
    before = _unchanged(kernel, processors, _read_known(known))
    outcome = choose_caps(processors, share, before)
    _write_known(known, outcome.known)
    if outcome.held_back:
        LOG.info(
            "%s: left alone, because the kernel or firmware holds it back, and what was set cannot be read until that ends",
            ", ".join(outcome.held_back),
        )
    done, is_done = dict(outcome.known), True
    # Each is tried, whatever became of the one before.
    for name, limit in outcome.limits.items():
        shown = kernel.set_limit(name, limit)
        if shown is not None:
            done[name] = msgspec.structs.replace(done[name], shown=shown)
            continue
        is_done = False
        del done[name]
        if name in before:
            done[name] = before[name]
    _write_known(known, done)
    return is_done


def undo(kernel: Kernel, *, known: Path) -> bool:
    """Give back what was set before, and forget it; returns whether each was taken.

    Processors that are not there now keep what is known of them, for the next undo.

    Raises:
        OSError: It cannot be remembered, so nothing was done.
    """
    if not set_limits(kernel, WHOLE, known=known):
        return False
    here = {processors.name for processors in kernel.read()}
    absent = {name: done for name, done in _read_known(known).items() if name not in here}
    if absent:
        _write_known(known, absent)
    else:
        known.unlink()
    return True


@contextmanager
def _taking_turns(directory: Path) -> Iterator[None]:
    """Wait for whoever else sets limits: an undo, and what the next start of the path unit begins with."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unchanged(
    kernel: Kernel, all_processors: Sequence[Processors], known: Mapping[str, Capped]
) -> Mapping[str, Capped]:
    """Return what is known without the processors that somebody else has set meanwhile."""
    changed = {
        processors.name
        for processors in all_processors
        if (done := known.get(processors.name)) is not None and _was_changed(kernel, processors, done)
    }
    return {name: done for name, done in known.items() if name not in changed}


def _was_changed(kernel: Kernel, processors: Processors, done: Capped) -> bool:
    if not is_doubtful(processors, done):
        return is_somebodys(processors, done)
    if kernel.set_limit(processors.name, done.after) in {None, processors.limit}:
        return False
    kernel.set_limit(processors.name, processors.limit)
    return True


def _read_known(path: Path) -> Mapping[str, Capped]:
    try:
        return decode_json(Known, read_limited(path, max_bytes=MAX_KNOWN_BYTES), source=str(path)).policies
    except FileNotFoundError:
        return {}
    except EdgedError as exc:
        LOG.warning("what was capped before is forgotten: %s", exc)
        return {}


def _write_known(path: Path, capped: Mapping[str, Capped]) -> None:
    replace_shown(path, encode_canonical(Known(policies=dict(capped))), mode=0o600)


if __name__ == "__main__":
    sys.exit(main())
