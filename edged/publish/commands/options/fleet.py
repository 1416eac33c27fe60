"""Options of the verbs that tell a fleet something: which repository, which model, which part of the fleet."""

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edged.errors import UsageError
from edged.ids import MODEL_NAME_PATTERN, ModelName, Version
from edged.ops.segments import Segment
from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.keys import add_keys, open_keyring
from edged.publish.commands.options.printing import print_json, print_line, report
from edged.publish.fleet.words import parse_segments
from edged.publish.repository.changing import Published, Repository
from edged.publish.repository.tree import Tree

MAX_REASON: Final = 500


def add_repository(parser: argparse.ArgumentParser) -> None:
    """Add ``--repo``, ``--keys`` and ``--expiry``."""
    parser.add_argument("--repo", type=Path, required=True, metavar="DIR", help="the repository")
    add_keys(parser)
    add_expiry(parser)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model's name."""
    parser.add_argument("model", metavar="MODEL", help="name of the model")


def add_reason(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--reason``, which has to be given."""
    parser.add_argument("--reason", required=True, metavar="TEXT", help=text)


def add_segment(parser: argparse.ArgumentParser) -> None:
    """Add ``--label`` and ``--arch``."""
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE[,VALUE]",
        help="only devices with one of these values of a label; several --label must all hold",
    )
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help="only devices of an architecture")


def read_segments(args: argparse.Namespace) -> tuple[Segment, ...]:
    """Return the part of the fleet that ``--label`` and ``--arch`` name; empty means everybody.

    Raises:
        UsageError: A label or an architecture is none.
    """
    return parse_segments(args.label, args.arch)


def read_model(args: argparse.Namespace) -> ModelName:
    """Return the model's name.

    Raises:
        UsageError: It cannot be one.
    """
    return parse_model(args.model)


def parse_model(text: str) -> ModelName:
    """Read the name of a model.

    Raises:
        UsageError: It cannot be one.
    """
    if re.fullmatch(MODEL_NAME_PATTERN, text) is None:
        raise UsageError(
            f"{text!r} is not the name of a model", hint="Names have lower-case letters, digits and dashes."
        )
    return ModelName(text)


def parse_version(text: str) -> Version:
    """Read a version.

    Raises:
        UsageError: It is none.
    """
    try:
        return Version.parse(text)
    except ValueError as exc:
        raise UsageError(f"{text!r} is no version", hint="For example: 1.2.0.") from exc


def parse_percent(text: str) -> float:
    """Read a percentage, in steps of a hundredth.

    Raises:
        UsageError: It is none.
    """
    digits = text.removesuffix("%").strip()
    if re.fullmatch(r"\d{1,3}(\.\d{1,2})?", digits) is None or float(digits) > 100:
        raise UsageError(f"{text!r} is no percentage", hint="Give a number from 0 to 100, such as 10 or 0.5.")
    return float(digits)


def parse_share(text: str) -> float:
    """Read a share of something, from 0 to 1.

    Raises:
        UsageError: It is none.
    """
    if re.fullmatch(r"[01](\.\d{1,6})?|\.\d{1,6}", text) is None or float(text) > 1:
        raise UsageError(f"{text!r} is no share", hint="Give a number from 0 to 1: 0.1 is every tenth.")
    return float(text)


def read_reason(args: argparse.Namespace) -> str:
    """Return ``--reason``.

    Raises:
        UsageError: It says nothing, or more than fits.
    """
    text: str = args.reason.strip()
    if not 1 <= len(text) <= MAX_REASON:
        hint = f"Say in up to {MAX_REASON} characters what others should know."
        raise UsageError(f"a reason of {len(text)} characters", hint=hint)
    return text


def open_repository(args: argparse.Namespace) -> Repository:
    """Return the repository that a verb is to change."""
    return Repository(
        tree=Tree(args.repo),
        keys=open_keyring(args),
        now=datetime.now(UTC),
        expiry=read_expiry(args),
        report=report,
    )


def print_change(args: argparse.Namespace, published: Published, text: str, **facts: object) -> None:
    """Print what a verb did, for a program when that is asked for.

    Args:
        args: May have ``json``.
        published: What was signed.
        text: The new state, for a person.
        facts: The same for a program.
    """
    if getattr(args, "json", False):
        print_json({"schema": 1, "changed": published.is_changed, "signed": list(published.signed), **facts})
    else:
        print_line(text if published.is_changed else f"{text} (was so already)")
