"""``python3 -m edged.frequency apply|undo``: what edged-frequency@.service runs; sets ``scaling_max_freq`` as the daemon wishes, or back.

It reads the wish and what it did before, writes the limits, and ends. A processor that refuses is named in the journal and does not keep
the others from theirs; what was done is remembered before it is done, so that an undo finds it whatever happens in between.
"""

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from edged import journal
from edged.codec import Document, decode_json, encode_canonical
from edged.config.schema import PathsConfig
from edged.errors import EdgedError
from edged.files import read_limited
from edged.frequency.caps import Capped, Processors, choose_caps
from edged.frequency.wish import WHOLE, read_wish

LOG = logging.getLogger(__name__)

CPUFREQ: Final = Path("/sys/devices/system/cpu/cpufreq")
KNOWN: Final = Path("/run/edged-frequency/capped.json")
MAX_KNOWN_BYTES: Final = 1 << 18
_MAX_ATTRIBUTE_CHARS: Final = 32


class Known(Document, frozen=True, kw_only=True):
    """What was done and not undone; forgotten with each boot, like the limits themselves."""

    schema: Literal[1] = 1
    policies: dict[str, Capped] = msgspec.field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> int:
    """Set the limits; returns 0 when each was taken, else 1."""
    parser = argparse.ArgumentParser(prog="edged.frequency", description="Cap the frequency of processors, or undo it.")
    parser.add_argument("what", choices=("apply", "undo"))
    parser.add_argument("--wish", type=Path, default=Path(PathsConfig().frequency_wish))
    parser.add_argument("--cpufreq", type=Path, default=CPUFREQ)
    parser.add_argument("--known", type=Path, default=KNOWN)
    args = parser.parse_args(argv)
    journal.set_up("edged-frequency")
    try:
        share = WHOLE if args.what == "undo" else read_wish(args.wish).share
        is_done = set_limits(args.cpufreq, share, known=args.known)
    except (EdgedError, OSError) as exc:
        LOG.error("no frequency was capped: %s", exc)  # noqa: TRY400 - the operator needs the sentence, not the traceback
        return 1
    return 0 if is_done else 1


def set_limits(cpufreq: Path, share: float, *, known: Path) -> bool:
    """Set the limits of all processors; returns whether each was taken.

    Args:
        cpufreq: Where the kernel's policies are.
        share: Of the highest frequency; 1 undoes what was done.
        known: Where to remember what was done.

    Raises:
        OSError: It cannot be remembered, so nothing was done.
    """
    processors = [found for path in sorted(cpufreq.glob("policy*")) if (found := _read(path)) is not None]
    before = _read_known(known)
    outcome = choose_caps(processors, share, before)
    if outcome.limits:
        # With what was done before: a limit that is refused below is still the one of then.
        _write_known(known, {**before, **outcome.capped})
    # Each is tried, whatever became of the one before.
    refused = [name for name, limit in outcome.limits.items() if not _write(cpufreq / name / "scaling_max_freq", limit)]
    is_done = not refused
    if is_done and outcome.capped != before:
        _write_known(known, outcome.capped)
    return is_done


def _read(policy: Path) -> Processors | None:
    """Read one policy; one that has no limit to be set is left alone."""
    try:
        least, most, limit = (
            _number(policy / name) for name in ("cpuinfo_min_freq", "cpuinfo_max_freq", "scaling_max_freq")
        )
    except (OSError, ValueError):
        return None
    return Processors(name=policy.name, least=least, most=most, limit=limit)


def _number(attribute: Path) -> int:
    with attribute.open(encoding="ascii") as file:
        return int(file.read(_MAX_ATTRIBUTE_CHARS))


def _write(attribute: Path, limit: int) -> bool:
    try:
        attribute.write_text(f"{limit}\n", encoding="ascii")
    except OSError as exc:
        LOG.warning("%s refuses %d kHz: %s", attribute, limit, exc.strerror)
        return False
    LOG.info("%s is %d kHz now", attribute, limit)
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
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(encode_canonical(Known(policies=dict(capped))))
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
