r"""Every step still gives what it gave when it was published.

The vectors are ``tests/golden/pipeline/OP.json``, in the form of ``Vectors`` in ``tests/golden/pipeline/vectors.py``::

    {"op": "softmax@1", "tolerance": {"absolute": 0.0, "relative": 1e-06}, "cases": [
      {"name": "two rows",
       "step": {"op": "softmax@1", "input": "scores", "output": "shares"},
       "files": {"labels.txt": "cat\ndog\n"},                                    where the step names files
       "types": [{"name": "scores", "dtype": "FP32", "shape": [-1, 2]}],         where axes are left open
       "inputs": {"scores": {"dtype": "FP32", "shape": [2, 2], "values": [0.0, 1.0, "NaN", "-Infinity"]}},
       "outputs": {"shares": {"dtype": "FP32", "shape": [2, 2], "values": [...]}}}]}

To add a case, add it to ``CASES`` of the module for its family (``tests/golden/pipeline/scores.py``) and run
``python -m tests.golden.pipeline.renew``, which never changes what is already written down.
"""

import subprocess
import sys
from functools import cache
from typing import get_args

import numpy as np
import pytest

from edged.pipeline.spec import TensorSpec, may_meet
from edged.pipeline.steps import Step
from tests.golden.pipeline import renew
from tests.golden.pipeline.vectors import FOLDER, Tolerance, inputs_of, load, path_of, read, types_of

OPS = [step.__struct_config__.tag for step in get_args(Step)]
WRITTEN = [(op, i) for op in OPS if path_of(op).exists() for i in range(len(load(op).cases))]


@cache
def cases_of(op: str):
    return load(op).cases


def assert_same(got, golden, tolerance: Tolerance):
    assert got.dtype == golden.dtype
    assert got.shape == golden.shape
    if got.dtype == object or got.dtype.kind != "f":
        assert got.tolist() == golden.tolist()
    elif tolerance == Tolerance():
        # assert_array_equal takes NaN for equal to NaN, and minus zero for equal to zero.
        np.testing.assert_array_equal(got, golden)
        np.testing.assert_array_equal(np.signbit(got) & (got == 0), np.signbit(golden) & (golden == 0))
    else:
        np.testing.assert_allclose(
            got.astype(np.float64), golden.astype(np.float64), rtol=tolerance.relative, atol=tolerance.absolute
        )


@pytest.mark.parametrize("op", OPS)
def test_a_step_has_golden_vectors(op):
    """Without them nobody would notice that a published step gives something else."""
    assert path_of(op).exists(), f"no golden vectors for {op}: see the docstring of {__name__}"
    assert load(op).op == op
    assert len(load(op).cases) >= 2


def test_there_are_no_vectors_without_a_step():
    """A step that was published is never taken away."""
    assert {path.stem for path in FOLDER.glob("*.json")} <= set(OPS)


@pytest.mark.parametrize(("op", "number"), WRITTEN, ids=str)
def test_a_step_gives_what_it_gave(op, number):
    made = cases_of(op)[number]

    given = renew.given(made)

    assert {*given} == {*made.outputs}
    for name, golden in made.outputs.items():
        assert_same(given[name], read(golden), load(op).tolerance)


@pytest.mark.parametrize(("op", "number"), WRITTEN, ids=str)
def test_a_step_gives_the_types_it_says(op, number):
    made = cases_of(op)[number]

    said = made.step.gives(types_of(made))

    assert [spec.name for spec in said] == list(made.step.writes)
    for spec in said:
        golden = made.outputs[spec.name]
        assert may_meet(spec, TensorSpec(name=spec.name, dtype=golden.dtype, shape=golden.shape)), (spec, golden.shape)


@pytest.mark.parametrize(("op", "number"), WRITTEN, ids=str)
def test_what_a_step_gives_is_not_what_it_was_given(op, number):
    """A step that wrote into what an app still holds, or handed it on, would change it under the app's feet."""
    made = cases_of(op)[number]
    inputs = inputs_of(made)
    before = {name: array.copy() for name, array in inputs.items()}

    given = renew.compiled(made).run(inputs)

    for name, array in before.items():
        assert_same(inputs[name], array, Tolerance())
    for array in (given[name] for name in made.step.writes):
        # A view of what must not be written is not writeable either.
        assert not array.flags.writeable or not any(np.may_share_memory(array, other) for other in inputs.values())


def test_the_files_are_what_the_modules_describe():
    """A case that somebody adds, renames or gives another step without renewing the files would be tested by nobody."""
    for op, (tolerance, wanted) in renew.cases().items():
        vectors = load(op)
        assert vectors.tolerance == tolerance
        assert [(made.name, made.step, made.types) for made in vectors.cases] == [
            (made.name, made.step, made.types) for made in wanted
        ], f"{op}: run python -m tests.golden.pipeline.renew"


WATCHED = """
import sys
from tests.golden.pipeline import renew
from tests.golden.pipeline.vectors import FOLDER, inputs_of, load

# From the files: the modules that describe the cases import what makes images and models.
cases = [made for path in FOLDER.glob("*.json") for made in load(path.stem).cases]
ready = [(renew.compiled(made), inputs_of(made)) for made in cases]
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, arguments)))
for stage, inputs in ready:
    stage.run(inputs)
done, seen = seen, []
print(len(ready), *{f"{event} {arguments}" for event, arguments in done if event.partition(".")[0] in
    {"import", "open", "os", "socket", "subprocess", "ctypes", "mmap", "tempfile", "shutil"}}, sep="\\n")
"""


def test_steps_open_and_import_nothing():
    """A worker may not, once it has loaded its model: all that has to happen when a pipeline is compiled."""
    found = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True)

    count, *events = found.stdout.splitlines()
    assert int(count) > 50
    assert events == []
