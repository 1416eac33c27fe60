"""The golden cases of every step, computed as a worker computes: ``python -m tests.fakes.confined_steps``.

In the order of a worker's life: what the steps need is imported, files are given up, steps are compiled, a thread is started, system calls
are given up, and only then the thread computes, with the small stack that a worker's threads have. What would have needed a file goes to
standard error, and to standard output what was given: JSON, by step and case.
"""

import sys
import threading

import msgspec

from edged.footprint import give_back, read_pages
from edged.pipeline.kernels import Stage, compile_stage, prepare
from edged.worker import template
from edged.worker.backends.ort import OnnxRuntime
from edged.worker.confine import filter_calls, forbid_files
from edged.worker.graphs import Graphs
from edged.worker.pool import STACK_BYTES
from tests.fakes.worker_process import watch
from tests.golden.pipeline.vectors import FOLDER, Case, Values, files_of, inputs_of, load, written


class Outcome(msgspec.Struct):
    """What became of it."""

    missing: list[str | None]
    """Why parts of the confinement are not in force."""
    given: dict[str, list[dict[str, Values] | str]]
    """By step, for each case: its outputs, or why there are none."""


def compute(stage: Stage, made: Case) -> dict[str, Values] | str:
    try:
        known = stage.run(inputs_of(made))
    except Exception as exc:  # noqa: BLE001 - whatever it is, the test says it
        return repr(exc)
    return {name: written(known[name]) for name in made.step.writes}


def main() -> None:
    cases = {path.stem: load(path.stem).cases for path in FOLDER.glob("*.json")}
    graphs = Graphs(OnnxRuntime())
    template.rehearse()
    before = read_pages()
    prepare(made.step for of_step in cases.values() for made in of_step)
    outcome = Outcome(missing=[forbid_files()], given={})
    watch()
    stages = {
        op: [compile_stage([made.step], files_of(made), graphs.load) for made in of_step]
        for op, of_step in cases.items()
    }
    may_begin = threading.Event()

    def work() -> None:
        may_begin.wait()
        for op, of_step in cases.items():
            outcome.given[op] = [compute(stage, made) for stage, made in zip(stages[op], of_step, strict=True)]

    threading.stack_size(STACK_BYTES)
    thread = threading.Thread(target=work)
    thread.start()
    outcome.missing.append(filter_calls())
    give_back(before)
    may_begin.set()
    thread.join()
    sys.stdout.buffer.write(msgspec.json.encode(outcome))


if __name__ == "__main__":
    main()
