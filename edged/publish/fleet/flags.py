"""How the flags document changes. Pure.

The first rule that fits a device counts. So rules for parts of the fleet come first, in the order in which they were made, and the one for
a share of everybody comes last. A value for everybody without a share is the flag's default.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from edged.errors import NothingToDoError, UsageError
from edged.ops.flags import FLAG_PATTERN, Flag, FlagRule, FlagValue
from edged.ops.segments import Segment
from edged.publish.fleet.words import part_of_fleet

EVERYBODY_PERCENT: Final = 100.0
_INTEGER: Final = re.compile(r"-?\d{1,15}")


def parse_value(text: str) -> FlagValue:
    """Return what a word on a command line means: ``true`` and ``false``, a number, else the text."""
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def check_name(name: str) -> None:
    """Make sure that a flag can have a name.

    Raises:
        UsageError: It cannot.
    """
    if re.fullmatch(FLAG_PATTERN, name) is None:
        raise UsageError(
            f"{name!r} is not the name of a flag", hint="Use lower-case letters, digits, dots, dashes, underscores."
        )


def set_flag(
    flags: Mapping[str, Flag],
    name: str,
    *,
    value: FlagValue,
    segments: Sequence[Segment] = (),
    percent: float = EVERYBODY_PERCENT,
    description: str | None = None,
) -> dict[str, Flag]:
    """Give a flag a value on some devices; a rule for the same part of the fleet is replaced.

    Args:
        flags: As they are.
        name: Of the flag; made when there is none of that name.
        value: On these devices.
        segments: Which part of the fleet; empty for everybody.
        percent: The share of it.
        description: What the flag is for; None leaves it as it is.
    """
    before = flags.get(name, Flag())
    rules = [rule for rule in before.rules if rule.segments]
    share = [rule for rule in before.rules if not rule.segments]
    default = before.default
    new = FlagRule(value=value, segments=tuple(segments), percent=percent)
    if not segments:
        share = [new] if percent < EVERYBODY_PERCENT else []
        default = value if percent >= EVERYBODY_PERCENT else default
    elif any(rule.segments == new.segments for rule in rules):
        rules = [new if rule.segments == new.segments else rule for rule in rules]
    else:
        rules.append(new)
    flag = replace(before, default=default, rules=(*rules, *share))
    return {**flags, name: flag if description is None else replace(flag, description=description)}


def unset_flag(flags: Mapping[str, Flag], name: str, *, segments: Sequence[Segment] = ()) -> dict[str, Flag]:
    """Forget a flag, or its rule for a part of the fleet.

    Raises:
        NothingToDoError: There is no such flag, or no such rule.
    """
    if name not in flags:
        raise NothingToDoError(f"there is no flag {name!r}", hint=f"Flags are: {', '.join(sorted(flags)) or 'none'}.")
    if not segments:
        return {other: flag for other, flag in flags.items() if other != name}
    before = flags[name]
    kept = tuple(rule for rule in before.rules if rule.segments != tuple(segments))
    if len(kept) == len(before.rules):
        known = "; ".join(part_of_fleet(rule.segments) for rule in before.rules)
        raise NothingToDoError(
            f"the flag {name!r} has no rule for exactly {part_of_fleet(segments)}",
            hint=f"Its rules are for: {known or 'nobody'}.",
        )
    return {**flags, name: replace(before, rules=kept)}
