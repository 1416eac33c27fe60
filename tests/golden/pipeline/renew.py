"""Writes down what the steps of a pipeline give: ``python -m tests.golden.pipeline.renew [--replace OP]...``.

Cases that a file has not got are added. What a file has stays as it is, whatever the step gives today: published bundles count on it.
``--replace`` writes a step's file anew, for one that was never published.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from importlib import import_module

import msgspec

from edged.pipeline.kernels import Array, Stage, compile_stage
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.graphs import Graphs
from tests.golden.pipeline.vectors import (
    FOLDER,
    Case,
    Tolerance,
    Values,
    Vectors,
    files_of,
    inputs_of,
    load,
    path_of,
    written,
)


def op_of(made: Case) -> str:
    """Return the name of a case's step."""
    return str(type(made.step).__struct_config__.tag)


def cases() -> dict[str, tuple[Tolerance, list[Case]]]:
    """Return the cases of every module beside this one, by step."""
    found: dict[str, tuple[Tolerance, list[Case]]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem in {"renew", "vectors"}:
            continue
        module = import_module(f"tests.golden.pipeline.{path.stem}")
        tolerances = getattr(module, "TOLERANCES", {})
        for made in module.CASES:
            tolerance = tolerances.get(op_of(made), Tolerance())
            found.setdefault(op_of(made), (tolerance, []))[1].append(made)
    return found


def compiled(made: Case) -> Stage:
    """Return a case's step, ready to run."""
    return compile_stage([made.step], files_of(made), Graphs(OnnxRuntime()).load)


def given(made: Case) -> dict[str, Array]:
    """Return what a case's step gives today."""
    known = compiled(made).run(inputs_of(made))
    return {name: known[name] for name in made.step.writes}


def encoded(vectors: Vectors) -> str:
    """Write vectors as JSON with a line for each tensor."""
    return "".join(
        [
            f'{{\n "op": {_json(vectors.op)},\n "tolerance": {_json(vectors.tolerance)},\n "cases": [\n',
            ",\n".join(map(_encoded_case, vectors.cases)),
            "\n ]\n}\n",
        ]
    )


def _encoded_case(made: Case) -> str:
    lines = [f'   "name": {_json(made.name)}', f'   "step": {_json(made.step)}']
    if made.types:
        lines.append(f'   "types": {_json(made.types)}')
    if made.files:
        lines.append(f'   "files": {{\n{_members(made.files)}\n   }}')
    lines.append(f'   "inputs": {{\n{_members(made.inputs)}\n   }}')
    lines.append(f'   "outputs": {{\n{_members(made.outputs)}\n   }}')
    return "  {\n" + ",\n".join(lines) + "\n  }"


def _members(values: dict[str, Values] | dict[str, object]) -> str:
    return ",\n".join(f"    {_json(name)}: {_json(value)}" for name, value in values.items())


def _json(value: object) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, allow_nan=False)


def _renewed(replace: Sequence[str]) -> Iterator[tuple[str, Vectors]]:
    for op, (tolerance, wanted) in cases().items():
        old = {made.name: made for made in load(op).cases} if path_of(op).exists() and op not in replace else {}
        if unknown := old.keys() - {made.name for made in wanted}:
            raise SystemExit(f"{op}: no module has the case {min(unknown)!r} any more")
        kept_or_new = (
            old.get(made.name)
            or msgspec.structs.replace(made, outputs={name: written(array) for name, array in given(made).items()})
            for made in wanted
        )
        yield op, Vectors(op=op, tolerance=tolerance, cases=tuple(kept_or_new))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replace", metavar="OP", action="append", default=[])
    for renewed_op, renewed in _renewed(parser.parse_args().replace):
        path_of(renewed_op).write_text(encoded(renewed), encoding="utf-8")
