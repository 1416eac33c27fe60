"""``edge-publish policy show``: the policy that is in force."""

import argparse
import json

import msgspec

from edged.publish.commands.options.printing import print_json, print_line
from edged.publish.commands.options.reading import add_reading, read_published
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.repository.documents import POLICY


def add_parser(verbs: Verbs) -> None:
    """Add the action."""
    parser = add_verb(verbs, "show", summary="show the policy", example="edge-publish policy show --repo repo")
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Print the policy, for people as a file that can be set again."""
    policy = read_published(args, POLICY)
    rules = {
        table: msgspec.to_builtins(values)
        for table, values in (("window", policy.window), ("shadow", policy.shadow), ("trial", policy.trial))
        if values is not None
    } if policy is not None else {}  # fmt: skip
    if args.json:
        decides = {} if policy is None or policy.rules is None else {"rules": msgspec.to_builtins(policy.rules)}
        print_json({"schema": 1, "issued": policy.issued if policy else None, **rules, **decides})
        return
    shown = {table: values for table, values in rules.items() if values}
    for table, values in shown.items():
        print_line(f"[{table}]")
        for name, value in values.items():
            # Of booleans, numbers, strings and lists of these, JSON and TOML have the same notation.
            print_line(f"{name} = {json.dumps(value)}")
    if policy is not None and policy.rules is not None:
        names = ", ".join(rule.name for rule in policy.rules.rules)
        print_line(f"# about requests decides policy {policy.rules.name}: {names or 'no rules'} (--json has all of it)")
    elif not shown:
        print_line("# the policy asks for nothing")
