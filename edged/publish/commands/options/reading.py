"""Options of the verbs that only look at a repository; they need no keys and hold nothing."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.printing import add_json, report
from edged.publish.repository.documents import D, Kind, read_document
from edged.publish.repository.expiring import find_expiring
from edged.publish.repository.state import State, read_state
from edged.publish.repository.tree import Tree


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add ``--repo``, ``--json`` and ``--expiry``."""
    parser.add_argument("--repo", type=Path, required=True, metavar="DIR", help="the repository")
    add_json(parser)
    add_expiry(parser)


def read_repository(args: argparse.Namespace) -> tuple[Tree, State]:
    """Read what is published, and warn of what expires before long.

    Raises:
        UsageError: The directory holds no complete repository.
        TrustError: The repository was altered.
    """
    tree = Tree(args.repo)
    state = read_state(tree)
    for expiring in find_expiring(state, read_expiry(args), datetime.now(UTC)):
        report(expiring.sentence())
    return tree, state


def read_published(args: argparse.Namespace, kind: Kind[D]) -> D | None:
    """Return a document; None when there is none.

    Raises:
        UsageError: As ``read_repository``.
        TrustError: As ``read_repository``.
        DocumentError: What was signed is no such document.
    """
    tree, state = read_repository(args)
    return read_document(tree, state, kind)
