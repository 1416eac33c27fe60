"""``edge-publish publish``: sign a bundle and put it into a repository."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.fleet import parse_percent, parse_version
from edged.publish.commands.options.keys import add_keys, open_keyring
from edged.publish.commands.options.printing import print_line, report
from edged.publish.commands.options.secrets import add_allowed, read_allowed
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.operations import publish_bundle
from edged.publish.repository.release import peek_manifest

TEXT = """\
Sign a bundle, put it into a repository, and name its version in the rollout, so that devices install it: as the version for everyone, or
with --percent as the next one for some of them first (see: rollout). While another version is being rolled out, publish with --no-rollout.

A published version never changes. What looks like a secret is refused (see: bundle scan).

Keys needed: snapshot, timestamp, model-NAME, ops (not with --no-rollout), and for the first version of a model also targets; model-NAME
is made then. A publish that was interrupted is finished by running it again.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "publish",
        summary="sign a bundle and put it into a repository",
        text=TEXT,
        example="edge-publish publish build/magika-1.0.0 --repo repo --keys keys",
    )
    parser.add_argument(
        "bundle", type=Path, metavar="DIR|FILE.edgeb", help="made by: edge-publish bundle build; a file is unpacked"
    )
    parser.add_argument("--repo", type=Path, required=True, metavar="DIR", help="the repository")
    add_keys(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--no-rollout", dest="rollout", action="store_false", help="leave the rollout as it is; no device installs it"
    )
    how.add_argument("--percent", metavar="N", help="roll it out in steps, to so many percent of all devices first")
    parser.add_argument("--min-version", metavar="V", help="let no lower version run any more, for ever")
    parser.add_argument("--allow-lower", action="store_true", help="accept a version lower than one that is published")
    add_allowed(parser)
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Publish the bundle."""
    manifest = peek_manifest(args.bundle)
    result = publish_bundle(
        args.repo,
        args.bundle,
        open_keyring(args),
        now=datetime.now(UTC),
        rollout=args.rollout,
        percent=None if args.percent is None else parse_percent(args.percent),
        min_version=None if args.min_version is None else parse_version(args.min_version),
        allow_lower=args.allow_lower,
        allowed_secrets=read_allowed(args),
        expiry=read_expiry(args),
        report=report,
    )
    state = "published" if result.is_changed else "was published already"
    print_line(f"{manifest.name} {manifest.version} {state} in {args.repo}")
