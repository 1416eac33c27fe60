"""``edgectl infer``: send files to a model as they are, and show its answers."""

import argparse
import sys
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from edged.api.oip.schemas import ModelMetadata
from edged.cli.arguments import seconds, whole_number
from edged.cli.exits import Exit, exit_code_for, print_error
from edged.cli.folding import fitted
from edged.cli.http import TIMEOUT_S, Client
from edged.cli.infer_request import Body, Parameters, described_body, whole_body
from edged.cli.table import align, printable
from edged.errors import DaemonUnreachableError, EdgedError, ModelUnknownError, NotPermittedError, UsageError

SHOWN_VALUES: Final = 4
"""How many values of an output are shown; --json has them all."""
MOST_PRIORITY: Final = 65535
"""The daemon's queue tells larger numbers no longer apart."""
GRACE_S: Final = 5.0
"""Beyond its time, an answer is waited for so much longer: it says that the time is over."""


class _Output(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    data: list[bool | int | float | str]


class _Response(msgspec.Struct, frozen=True, kw_only=True):
    """An inference response, as far as it is shown."""

    outputs: list[_Output]
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A file and what the model said about it."""

    file: str
    body: bytes
    elapsed_s: float


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser("infer", help="send files to a model and show its answers")
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    parser.add_argument("files", metavar="FILE", nargs="+", help="a file; its bytes are the model's one input")
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON for each file, with the API's response"
    )
    parser.add_argument(
        "--offload", action="store_true", help="the files may leave this device, where its policy has them do so"
    )
    parser.add_argument(
        "--background",
        action="store_true",
        help="nobody waits: may be kept until the policy lets it run (see --timeout)",
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="do not take an answer that is known already, and keep none"
    )
    parser.add_argument(
        "--priority", metavar="N", type=whole_number(least=1, most=MOST_PRIORITY), help="1 goes first (default: 4)"
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=seconds,
        help="seconds after which an answer is worth nothing (default: the daemon's)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Ask about each file; one that fails does not keep the others from being answered."""
    client = Client(args.socket, timeout_s=max(TIMEOUT_S, (args.timeout or 0) + GRACE_S))
    write = _writer(client, args)
    answers: list[Answered] = []
    worst = Exit.OK
    for file in args.files:
        try:
            answer = ask(client, args.model, file, write)
        except (DaemonUnreachableError, NotPermittedError, ModelUnknownError):
            # The same for every other file.
            raise
        except EdgedError as exc:
            print(f"{printable(file)}: ", end="", file=sys.stderr)
            print_error(exc)
            worst = worst or exit_code_for(exc)
        else:
            if args.json:
                print(as_json_line(answer))
            answers.append(answer)
    if answers and not args.json:
        print(fitted(render(answers)), end="")
    return worst


def ask(client: Client, model: str, file: str, write: Callable[[bytes], Body]) -> Answered:
    """Send one file.

    Args:
        client: Of the daemon.
        model: Its name.
        file: Its name.
        write: Makes a request of a file's content.

    Raises:
        UsageError: The file cannot be read, or is nothing that the model takes.
        EdgedError: What the daemon answered.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as exc:
        raise UsageError(f"The file cannot be read: {exc.strerror}.") from exc
    body = write(content)
    start_s = time.monotonic()
    reply = client.request("POST", f"{_path(model)}/infer", body=body.content, headers=body.headers)
    return Answered(file=file, body=reply.body, elapsed_s=time.monotonic() - start_s)


def as_json_line(answer: Answered) -> str:
    """Write an answer as one line of JSON, the response as it came."""
    response = msgspec.json.decode(answer.body)
    # A file's name is bytes; those that are not UTF-8 are written as escapes.
    file = answer.file.encode(errors="backslashreplace").decode()
    line = {
        "schema": 1,
        "file": file,
        "elapsed_ms": round(answer.elapsed_s * 1e3, 3),
        "response": response,
    }
    return msgspec.json.encode(line).decode()


def render(answers: list[Answered]) -> str:
    """Lay out answers for a person, a line for each file and a column for each output."""
    responses = [msgspec.json.decode(answer.body, type=_Response) for answer in answers]
    headings = ["FILE", *(output.name.upper() for output in responses[0].outputs), "VARIANT", "MS"]
    rows = [
        [
            printable(answer.file),
            *(_values(output) for output in response.outputs),
            printable(_variant(response.parameters)),
            f"{answer.elapsed_s * 1e3:.1f}",
        ]
        for answer, response in zip(answers, responses, strict=True)
    ]
    return align([headings, *rows])


def _path(model: str) -> str:
    return f"/v2/models/{urllib.parse.quote(model, safe='')}"


def _writer(client: Client, args: argparse.Namespace) -> Callable[[bytes], Body]:
    """Return what makes a request of a file; where something is said beside it, the model is asked what it takes."""
    parameters = _parameters(args)
    if not parameters:
        return whole_body
    metadata = client.get(_path(args.model), ModelMetadata)
    return lambda content: described_body(content, metadata, parameters)


def _parameters(args: argparse.Namespace) -> Parameters:
    parameters: dict[str, bool | int | str] = {}
    if args.offload:
        parameters["offload"] = True
    if args.background:
        parameters["request_class"] = "background"
    if args.no_cache:
        parameters["cache"] = False
    if args.priority is not None:
        parameters["priority"] = args.priority
    if args.timeout is not None:
        parameters["timeout"] = max(1, round(1e6 * args.timeout))
    return parameters


def _variant(parameters: dict[str, Any]) -> str:
    return f"{parameters.get('variant', '')}{' (cached)' if parameters.get('cached') is True else ''}"


def _values(output: _Output) -> str:
    shown = [
        f"{value:.4g}" if isinstance(value, float) else printable(str(value)) for value in output.data[:SHOWN_VALUES]
    ]
    return " ".join(shown) + (f" (+{len(output.data) - SHOWN_VALUES})" if len(output.data) > SHOWN_VALUES else "")
