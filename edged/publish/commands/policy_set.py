"""``edge-publish policy set``: publish a policy."""

import argparse
import tomllib
from pathlib import Path
from typing import Final

from edged.codec import convert
from edged.errors import StoreError, UsageError
from edged.files import read_limited
from edged.ops.policy import MAX_POLICY_BYTES
from edged.publish.commands.fleet_options import add_repository, open_repository, print_change
from edged.publish.commands.options import Verbs, add_verb
from edged.publish.repository.fleet import PolicyRules, set_policy

TEXT: Final = """\
Publish a policy: the tables [window] and [trial], as in a device's edged.toml.

  [window]
  hours = ["22:00-05:00"]
  idle_s = 600

  [trial]
  min_s = 3600
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
    parser.add_argument("file", type=Path, metavar="FILE.toml", help="the policy")
    add_repository(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Publish the policy."""
    rules = read_rules(args.file)
    published = set_policy(open_repository(args), rules)
    print_change(args, published, f"{args.file} is the policy for the fleet")


def read_rules(path: Path) -> PolicyRules:
    """Read a policy's file.

    Raises:
        UsageError: It cannot be read, or is no TOML.
        DocumentError: It does not follow the types; every problem is named.
    """
    try:
        document = tomllib.loads(read_limited(path, max_bytes=MAX_POLICY_BYTES).decode())
    except (FileNotFoundError, StoreError) as exc:
        raise UsageError(f"{path} cannot be read: {exc}", hint="Name a file with [window] and [trial].") from exc
    except ValueError as exc:
        raise UsageError(f"{path} is no TOML: {exc}", hint="Write it as edged.toml is written.") from exc
    return convert(PolicyRules, document, source=str(path))
