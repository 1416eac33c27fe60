"""``edge-publish stop``: have devices refuse a model within seconds, and let it answer again."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from edged.errors import UsageError
from edged.ids import ModelName
from edged.ops.segments import Issued
from edged.ops.stop import Stop, StopAction, Stops
from edged.publish.commands.options.expiry import add_expiry, read_expiry
from edged.publish.commands.options.fleet import (
    open_repository,
    parse_model,
    parse_version,
    print_change,
    read_reason,
)
from edged.publish.commands.options.keys import KEYS_HELP
from edged.publish.commands.options.printing import add_json, print_json, print_line, report
from edged.publish.commands.options.verb import Verbs, add_verb
from edged.publish.fleet.stop import lift_stop, set_lease, stop_model
from edged.publish.repository.changing import warn_of_expiry
from edged.publish.repository.documents import STOPS, read_document, reason_of
from edged.publish.repository.fleet import change_stops
from edged.publish.repository.roles import STOP
from edged.publish.repository.state import read_state
from edged.publish.repository.tree import Tree

TEXT = """\
Have every device refuse a model, or some versions of it, from its next poll on. It holds across restarts and offline, until it is lifted
by a document that is signed later. Stopping again only widens a stop.

  --fall-back  devices do what the model's bundle says for such a case (an older version, a smaller variant, a constant answer), and refuse
               only when it says nothing
  --lease N    a model that may answer only as long as a device has reached the repository within the last N hours

Keys needed: stop, snapshot, timestamp. No other key is used, a publish that is copying files is not waited for, and damage to other parts
of the repository is not in the way.
"""


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_verb(
        verbs,
        "stop",
        summary="have devices refuse a model within seconds",
        text=TEXT,
        example='edge-publish stop adder --reason "wrong sums above 1000" --repo repo --keys keys',
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="name of the model (not with --status)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--lift", action="store_true", help="let it answer again")
    what.add_argument("--lease", metavar="HOURS|off", help="let it answer only with a fresh timestamp, or always again")
    what.add_argument("--status", action="store_true", help="show what is stopped")
    parser.add_argument("--reason", metavar="TEXT", help="why; who is refused is told")
    parser.add_argument(
        "--version", action="append", default=[], metavar="V", help="only this version; may be given several times"
    )
    parser.add_argument("--fall-back", action="store_true", help="do what the bundle says for such a case")
    parser.add_argument("--repo", type=Path, required=True, metavar="DIR", help="the repository")
    parser.add_argument("--keys", type=Path, metavar="DIR", help=f"{KEYS_HELP} (not with --status)")
    add_json(parser)
    add_expiry(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Stop, lift, lease, or show."""
    if args.status:
        _show(args)
        return
    if args.model is None or args.keys is None:
        raise UsageError("expected a model and --keys", hint="Or --status, to see what is stopped.")
    model = parse_model(args.model)
    if (args.version or args.fall_back) and (args.lift or args.lease is not None):
        raise UsageError("--version and --fall-back are for stopping", hint="A model is lifted as a whole.")
    if args.lease is not None:
        _lease(args, model)
        return
    if args.reason is None:
        raise UsageError("expected --reason", hint="Say why, for those who are refused and those who come after you.")
    if args.lift:
        _lift(args, model)
    else:
        _stop(args, model)


def _stop(args: argparse.Namespace, model: ModelName) -> None:
    reason, versions = read_reason(args), [str(parse_version(text)) for text in args.version]
    action: StopAction = "fall-back" if args.fall_back else "refuse"
    after: list[Stops] = []

    def change(stops: Stops, issued: Issued) -> Stops:
        after.append(stop_model(stops, model, reason=reason, versions=versions, action=action, since=issued))
        return after[-1]

    published = change_stops(open_repository(args), model, change, versions=versions)
    stopped = after[-1].models[model]
    what = f"{model} {', '.join(stopped.versions)}" if stopped.versions else model
    print_change(args, published, f"{what} is stopped: {reason}", model=model, stop=_document(stopped))


def _lift(args: argparse.Namespace, model: ModelName) -> None:
    reason = read_reason(args)
    published = change_stops(
        open_repository(args), model, lambda stops, _issued: lift_stop(stops, model), reason=f"lift {model}: {reason}"
    )
    print_change(args, published, f"{model} answers again: {reason}", model=model, stop=None)


def _lease(args: argparse.Namespace, model: ModelName) -> None:
    hours = None if args.lease == "off" else _hours(args.lease)
    published = change_stops(open_repository(args), model, lambda stops, _issued: set_lease(stops, model, hours))
    text = "has no lease" if hours is None else f"answers for {hours:g} hours after the last fresh timestamp"
    print_change(args, published, f"{model} {text}", model=model, lease_hours=hours)


def _hours(text: str) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise UsageError(f"--lease {text}: expected hours", hint="For example: --lease 48, or --lease off.") from exc


def _show(args: argparse.Namespace) -> None:
    tree = Tree(args.repo)
    # Only this role: what is stopped can be told whatever has happened to the rest.
    state = read_state(tree, roles={STOP})
    stops = read_document(tree, state, STOPS)
    warn_of_expiry(tree, read_expiry(args), now=datetime.now(UTC), report=report, roles={STOP})
    if args.json:
        print_json(
            {
                "schema": 1,
                "serial": stops.serial if stops else 0,
                "models": {model: _document(stop) for model, stop in stops.models.items()} if stops else {},
                "lease_hours": {model: lease.hours for model, lease in stops.leases.items()} if stops else {},
                "last_change": reason_of(state, STOPS),
            }
        )
        return
    for model, stop in sorted(stops.models.items()) if stops else ():
        what = f"{model} {', '.join(stop.versions)}" if stop.versions else model
        how = "" if stop.action == "refuse" else ", devices fall back"
        print_line(f"{what} is stopped since {stop.since}{how}: {stop.reason}")
    for model, lease in sorted(stops.leases.items()) if stops else ():
        print_line(f"{model} answers for {lease.hours:g} hours after the last fresh timestamp")
    if stops is None or not stops.models:
        print_line("no model is stopped")
    if change := reason_of(state, STOPS):
        print_line(f"last change: {change}")


def _document(stop: Stop) -> dict[str, object]:
    return {
        "reason": stop.reason,
        "since": stop.since,
        "versions": list(stop.versions),
        "action": stop.action,
    }
