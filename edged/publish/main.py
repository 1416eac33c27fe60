"""The command line of ``edge-publish``: one module of ``edged.publish.commands`` for each verb, loaded when that verb is asked for.

A verb that has actions is a folder there, with a module for each of them and ``actions``, which adds the verb and all of them.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

from edged import __version__
from edged.cli.exits import run_command
from edged.publish.commands.options.verb import PageFormatter

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

VERBS: Final = MappingProxyType(
    {
        "keys": "make signing keys, look at them, and replace them",
        "init": "make a repository and its keys",
        "bundle": "begin, build, check, compare and explain bundles",
        "kit": "make validation kits",
        "quantize": "make smaller variants of a model that answer as well",
        "convert": "make an alternate of a model in another format",
        "origin": "say where a model file came from",
        "publish": "sign a bundle and put it into a repository",
        "rollout": "roll a version out in steps, halt it, take it back",
        "plan": "compute the traffic of a rollout, and of a month",
        "flags": "set feature flags for the fleet",
        "policy": "say how careful devices are with new versions, and by which rules they decide",
        "stop": "have devices refuse a model within seconds",
        "resign": "renew signatures before they expire",
        "verify": "check a published repository as a device would",
        "root": "look at the root of trust, sign it, and replace its keys",
        "serve": "serve a repository as static files, for tests",
    }
)
"""The verbs, in the order of the help, and what each does: as its module has it, which is not loaded to say so."""

WITH_ACTIONS: Final = frozenset({"bundle", "flags", "keys", "policy", "rollout", "root"})
"""Those that are folders."""

EPILOG = """\
Exit codes: 0 ok, 1 failed, 2 usage, 4 not permitted, 5 not found, 6 degraded, 7 nothing to do, 8 busy, 9 timeout, 10 verification failed.
Results go to standard output, progress and errors to standard error.
"""


def make_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """Make the parser.

    Args:
        verb: The only one whose options are needed; None for those of all.
    """
    parser = argparse.ArgumentParser(
        prog="edge-publish",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=PageFormatter,
    )
    parser.add_argument("--version", action="version", version=f"edge-publish {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, summary in VERBS.items():
        if verb in {None, name}:
            module = f"{name}.actions" if name in WITH_ACTIONS else name
            import_module(f"edged.publish.commands.{module}").add_parser(verbs)
        else:
            verbs.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``edge-publish`` and return its exit code (design, "Command lines")."""
    arguments = sys.argv[1:] if argv is None else argv
    # The verb comes first: the options before it take no value, and end the program.
    verb = next((argument for argument in arguments if not argument.startswith("-")), "")
    args = make_parser(verb).parse_args(arguments)
    return run_command(lambda: args.run(args))


if __name__ == "__main__":
    sys.exit(main())
