"""The command line of ``edge-publish``: one module of ``edged.publish.commands`` for each verb."""

import argparse
import sys
from collections.abc import Sequence

from edged import __version__
from edged.cli.exits import run_command
from edged.publish.commands import (
    bundle,
    convert,
    flags,
    init,
    keys,
    kit,
    origin,
    policy,
    publish,
    quantize,
    resign,
    rollout,
    root,
    serve,
    stop,
    verify,
)

DESCRIPTION = """\
Build, sign and publish model bundles for edged.

A first bundle and a first repository:
  edge-publish bundle init model.onnx
  edge-publish kit make NAME.toml --samples DIR
  edge-publish bundle build NAME.toml --out build
  edge-publish bundle validate build/NAME-VERSION
  edge-publish init repo --keys keys
  edge-publish publish build/NAME-VERSION --repo repo --keys keys
  edge-publish serve repo --port 8080
"""

VERBS = (
    *(keys, init, bundle, kit, quantize, convert, origin, publish),
    *(rollout, flags, policy, stop, resign, verify, root, serve),
)

EPILOG = """\
Exit codes: 0 ok, 1 failed, 2 usage, 4 not permitted, 5 not found, 6 degraded, 7 nothing to do, 8 busy, 9 timeout, 10 verification failed.
Results go to standard output, progress and errors to standard error.
"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser with every verb."""
    parser = argparse.ArgumentParser(
        prog="edge-publish",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-publish {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``edge-publish`` and return its exit code (design, "Command lines")."""
    args = make_parser().parse_args(argv)
    return run_command(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
