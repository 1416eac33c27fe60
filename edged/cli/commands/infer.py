"""``edgectl infer``: send files to a model as they are, and show its answers."""

import argparse
import sys
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from edged.cli.exits import Exit, exit_code_for, print_error
from edged.cli.http import Client
from edged.cli.table import align, printable
from edged.errors import DaemonUnreachableError, EdgedError, ModelUnknownError, NotPermittedError, UsageError

SHOWN_VALUES: Final = 4
"""How many values of an output are shown; --json has them all."""


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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Ask about each file; one that fails does not keep the others from being answered."""
    client = Client(args.socket)
    answers: list[Answered] = []
    worst = Exit.OK
    for file in args.files:
        try:
            answer = ask(client, args.model, file)
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
        print(render(answers), end="")
    return worst


def ask(client: Client, model: str, file: str) -> Answered:
    """Send one file.

    Raises:
        UsageError: The file cannot be read.
        EdgedError: What the daemon answered.
    """
    try:
        content = Path(file).read_bytes()
    except OSError as exc:
        raise UsageError(f"The file cannot be read: {exc.strerror}.") from exc
    start_s = time.monotonic()
    reply = client.request(
        "POST",
        f"/v2/models/{urllib.parse.quote(model, safe='')}/infer",
        body=content,
        # 0: the body is all tensor.
        headers={"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"},
    )
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
            str(response.parameters.get("variant", "")),
            f"{answer.elapsed_s * 1e3:.1f}",
        ]
        for answer, response in zip(answers, responses, strict=True)
    ]
    return align([headings, *rows])


def _values(output: _Output) -> str:
    shown = [
        f"{value:.4g}" if isinstance(value, float) else printable(str(value)) for value in output.data[:SHOWN_VALUES]
    ]
    return " ".join(shown) + (f" (+{len(output.data) - SHOWN_VALUES})" if len(output.data) > SHOWN_VALUES else "")
