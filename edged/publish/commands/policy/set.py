"""``edge-publish policy set``: publish a policy."""

import argparse
import tomllib
from pathlib import Path
from typing import Final

from edged.codec import convert
from edged.errors import StoreError, UsageError
from edged.files import read_limited
from edged.ops.policy import MAX_POLICY_BYTES
from edged.publish.commands.options.fleet import add_repository, open_repository, print_change
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.fleet import PolicyRules, set_policy
from edged.select.check import read_policy

TEXT: Final = """\
Publish a policy: the tables [window], [shadow] and [trial], as in a device's edged.toml.

  [window]
  hours = ["22:00-05:00"]
  idle_s = 600

  [trial]
  min_s = 3600

With --rules, publish what decides about requests on all devices: a file of rules as in docs/policy.md of the package edged, whose own
tests have to pass. What is not named stays as it is.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(
        verbs,
        "set",
        summary="publish a policy",
        text=TEXT,
        example="edge-publish policy set policy.toml --repo repo --keys keys",
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE.toml", help="how careful to be with new versions")
    parser.add_argument("--rules", type=Path, metavar="RULES.toml", help="what decides about requests")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Publish the policy."""
    if args.file is None and args.rules is None:
        raise UsageError(
            "there is nothing to publish", hint="Name a file with [window], [shadow] or [trial], or --rules."
        )
    care = None if args.file is None else read_rules(args.file)
    rules = None if args.rules is None else read_policy(_read(args.rules), source=str(args.rules))
    published = set_policy(open_repository(args), care, rules=rules)
    named = " and ".join(str(path) for path in (args.file, args.rules) if path is not None)
    print_change(args, published, f"{named} is the policy for the fleet")


def read_rules(path: Path) -> PolicyRules:
    """Read a policy's file.

    Raises:
        UsageError: It cannot be read, is no TOML, or has rules about requests.
        DocumentError: It does not follow the types; every problem is named.
    """
    try:
        document = tomllib.loads(_read(path).decode())
    except ValueError as exc:
        raise UsageError(f"{path} is no TOML: {exc}", hint="Write it as edged.toml is written.") from exc
    if "rule" in document:
        raise UsageError(f"{path} is a file of rules about requests", hint=f"Publish it with --rules {path}.")
    return convert(PolicyRules, document, source=str(path))


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, max_bytes=MAX_POLICY_BYTES, may_wait=True)
    except (OSError, StoreError) as exc:
        why = exc.message if isinstance(exc, StoreError) else exc.strerror
        raise UsageError(
            f"{path} cannot be read: {why}",
            hint="Name a file with [window], [shadow] or [trial], or --rules RULES.toml.",
        ) from exc
