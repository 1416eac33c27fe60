"""``edge-publish flags show``: the flags that are set."""

import argparse
import json

import msgspec

from edged.ops.flags import Flags
from edged.publish.commands.options.printing import print_json, print_line
from edged.publish.commands.options.reading import add_reading, read_published
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.words import part_of_fleet
from edged.publish.repository.documents import FLAGS


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(verbs, "show", summary="show the flags", example="edge-publish flags show --repo repo")
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the flags."""
    flags = read_published(args, FLAGS)
    if args.json:
        print_json({"schema": 1, "issued": flags.issued if flags else None, "flags": _builtins(flags)})
        return
    for name, flag in sorted(flags.flags.items()) if flags else ():
        print_line(f"{name}: {json.dumps(flag.default)}" + (f"  ({flag.description})" if flag.description else ""))
        for rule in flag.rules:
            share = f", {rule.percent:g} % of them" if rule.percent < 100 else ""
            print_line(f"  {json.dumps(rule.value)} for {part_of_fleet(rule.segments)}{share}")
    if flags is None or not flags.flags:
        print_line("no flags are set")


def _builtins(flags: Flags | None) -> object:
    return msgspec.to_builtins(flags.flags) if flags is not None else {}
