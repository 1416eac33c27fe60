"""``edgectl models``: which models answer, and what they take and give."""

import argparse
from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET

from edged.api.documents.models import ModelEntry, ModelList
from edged.cli.exits import Exit
from edged.cli.http import Client
from edged.cli.showing import text_of
from edged.cli.table import align
from edged.pipeline.spec import TensorSpec

_HEADINGS: Final = ("MODEL", "VERSION", "VARIANT", "READY", "TAKES", "GIVES")


def add(verbs: Any) -> None:
    """Add the verb to edgectl's parser."""
    parser: argparse.ArgumentParser = verbs.add_parser("models", help="list the models that answer requests")
    parser.add_argument("--json", action="store_true", help="print the document of /edged/v1/models")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    """Print the models."""
    listed = Client(args.socket).get("/edged/v1/models", ModelList)
    print(text_of(listed, render, as_json=args.json), end="")
    return Exit.OK


def render(listed: ModelList) -> str:
    """Lay out models for a person."""
    if not listed.models:
        return "No model is active on this device.\n"
    rows = [
        (m.name, m.version, m.variant, "yes" if m.ready else "no", _takes(m), _tensors(m.outputs))
        for m in listed.models
    ]
    return align([_HEADINGS, *rows])


def _takes(model: ModelEntry) -> str:
    inputs = _tensors(model.inputs)
    return inputs if model.least_scale is UNSET else f"{inputs}; down to scale {model.least_scale:g}"


def _tensors(specs: Iterable[TensorSpec]) -> str:
    return ", ".join(
        f"{spec.name} {spec.dtype}[{','.join('?' if axis == -1 else str(axis) for axis in spec.shape)}]"
        for spec in specs
    )
