"""``edgectl policy explain``: what would be decided, rule by rule, on this device or by a file."""

import argparse
from pathlib import Path
from typing import Any, Final

import msgspec

from edged.api.documents.policy import EXPLAIN_PATH, ExplainRequest, ExplanationDocument
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.policy_file import explain_offline, read_policy
from edged.cli.policy_page import render_explanations
from edged.cli.showing import text_of
from edged.codec import decode_json
from edged.errors import UsageError

_PRECISIONS: Final = "fp32,fp16,int8"


def add(verbs: Any) -> None:
    """Add the verb to the parser of ``edgectl policy``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        "explain", help="say what is decided about a model's requests, or would be, and why"
    )
    parser.add_argument("--model", metavar="MODEL", help="only this model")
    parser.add_argument(
        "--request", choices=("interactive", "background"), help="the kind of request (default: interactive)"
    )
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="given",
        type=_pair,
        help="as if this were so: thermal=serious, power=battery:15, hours=23:10, flag.beta=true; may be repeated",
    )
    parser.add_argument("--file", metavar="FILE", type=Path, help="by this policy, without a daemon, on a calm device")
    parser.add_argument(
        "--variants",
        metavar="PRECISIONS",
        help=f"with --file: the precisions of the model's variants (default: {_PRECISIONS})",
    )
    parser.add_argument("--json", action="store_true", help=f"print the document of {EXPLAIN_PATH}")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the explanation."""
    given = dict(args.given) | ({"request": args.request} if args.request else {})
    if args.file is not None:
        precisions = tuple((_PRECISIONS if args.variants is None else args.variants).split(","))
        found = explain_offline(read_policy(args.file), model=args.model, given=given, precisions=precisions)
    elif args.variants is not None:
        raise UsageError("--variants goes with --file: a model of this device has the variants that it has")
    else:
        found = _ask(args.socket, ExplainRequest(model=args.model, given=given))
    print(text_of(found, render_explanations, as_json=args.json), end="")
    return Exit.OK


def _ask(socket_path: str, question: ExplainRequest) -> ExplanationDocument:
    reply = Client(socket_path).request("POST", EXPLAIN_PATH, body=msgspec.json.encode(question))
    return decode_json(ExplanationDocument, reply.body, source=EXPLAIN_PATH)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name.strip(), value.strip()
