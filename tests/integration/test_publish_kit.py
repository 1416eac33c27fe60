"""``edge-publish kit make``: a model, some files, and out comes a kit that validates the bundle built with it."""

import json

import numpy as np
import pytest

from edged.bundle.kit import Kit
from edged.codec import decode_json
from edged.publish.main import main
from tests.fakes.bundles import SAMPLES, adder_answer, make_recipe
from tests.fakes.models import allocating_model, build, constant, helper


@pytest.fixture
def recipe(tmp_path):
    """The adder's recipe without a kit; samples lie beside it in ``files``."""
    path = make_recipe(tmp_path / "src")
    (path.parent / "kit").rename(path.parent / "old")
    (path.parent / "old/samples").rename(path.parent / "files")
    return path


def make(recipe, *options):
    return main(["kit", "make", str(recipe), "--samples", str(recipe.parent / "files"), *options])


def kit_of(recipe):
    return decode_json(Kit, (recipe.parent / "kit/kit.json").read_bytes(), source="kit")


def test_golden_outputs_are_what_the_model_says_and_the_bundle_built_with_them_passes(recipe, tmp_path, capsys):
    assert make(recipe) == 0

    assert capsys.readouterr().out == f"{recipe.parent}/kit/kit.json\n"
    kit = kit_of(recipe)
    assert {sample.input: sample.golden[0].data for sample in kit.samples} == {
        f"samples/{name}": (adder_answer(data),) for name, data in SAMPLES.items()
    }
    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0
    assert main(["bundle", "validate", str(tmp_path / "adder-1.0.0")]) == 0


def test_the_kit_says_which_runtime_and_which_model_it_is_from(recipe):
    make(recipe)

    reference = kit_of(recipe).reference
    assert reference.startswith("onnxruntime ")
    assert "with adder-1.0.0-fp32-any, model sha256 " in reference


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("truth.csv", "sample,sum\none,2.5\nhigh,\nwords,7\n"),
        ("truth.json", '{"one": {"sum": 2.5}, "words": {"sum": [7]}}'),
    ],
)
def test_the_truth_goes_into_the_kit_where_it_is_known(recipe, name, text):
    """Also when it lies among the samples."""
    (recipe.parent / "files" / name).write_text(text)

    assert make(recipe, "--truth", str(recipe.parent / "files" / name)) == 0

    truths = {sample.name: [(t.name, t.shape, t.data) for t in sample.truth] for sample in kit_of(recipe).samples}
    assert truths == {
        "one": [("sum", (1, 1), (2.5,))],
        "words": [("sum", (1, 1), (7.0,))],
        "high": [],
        "empty": [],
    }


def test_a_truth_that_is_none_makes_no_kit(recipe, tmp_path, capsys):
    (tmp_path / "truth.csv").write_text("sample,sum\none,much\n")

    assert make(recipe, "--truth", str(tmp_path / "truth.csv")) == 10

    assert "one: sum: 'much' is no FP32" in capsys.readouterr().err
    assert not (recipe.parent / "kit").exists()


def test_golden_outputs_are_replaced_only_when_that_is_asked_for(recipe, capsys):
    make(recipe)
    before = (recipe.parent / "kit/kit.json").read_bytes()

    assert make(recipe) == 2
    assert "pass --force" in capsys.readouterr().err
    assert make(recipe, "--force") == 0
    assert (recipe.parent / "kit/kit.json").read_bytes() == before


def test_samples_that_lie_in_the_kit_stay_where_they_are(recipe):
    (recipe.parent / "files").rename(recipe.parent / "kit")

    assert main(["kit", "make", str(recipe), "--samples", str(recipe.parent / "kit")]) == 0

    assert kit_of(recipe).samples[0].input == "empty.bin"
    assert sorted(path.name for path in (recipe.parent / "kit").iterdir()) == sorted([*SAMPLES, "kit.json"])


@pytest.mark.parametrize(
    ("files", "code", "reason"),
    [
        ([], 2, "there are no samples"),
        (["a b.bin"], 10, "cannot have this name in a bundle"),
        (["a.bin", "a.txt"], 10, "would be one sample, a"),
    ],
)
def test_files_that_cannot_be_samples_are_refused(recipe, tmp_path, capsys, files, code, reason):
    (tmp_path / "some").mkdir()
    for name in files:
        (tmp_path / "some" / name).write_text("x")

    assert main(["kit", "make", str(recipe), "--samples", str(tmp_path / "some")]) == code
    assert reason in capsys.readouterr().err


RECIPE = """\
name = "tensors"
version = "1.0.0"

[[variants]]
model = "model.onnx"
tier = "quality"
precision = "fp32"
targets = {{ arch = ["amd64", "arm64"] }}
budget = {{ latency_ms = 1000.0, memory_bytes = 134217728 }}

[pipeline]
inputs = [{inputs}]
outputs = [{{ name = "y", dtype = "FP32", shape = {shape} }}]

[validation]
kit = "kit"
tolerance = [{{ output = "y", absolute = 0.1 }}]

[provenance]
source = "made by edged's tests"
licence = "Apache-2.0"
"""


def with_tensors(directory, model, inputs, shape, **arrays):
    directory.mkdir()
    (directory / "model.onnx").write_bytes(model)
    (directory / "files").mkdir()
    np.savez(directory / "files/one.npz", **arrays)
    path = directory / "recipe.toml"
    path.write_text(RECIPE.format(inputs=inputs, shape=shape))
    return path


def test_tensors_come_as_numpy_archives_and_large_outputs_become_files(tmp_path):
    """So that a device has the values of one sample in memory at a time."""
    recipe = with_tensors(
        tmp_path / "src",
        allocating_model(),
        '{ name = "count", dtype = "INT64", shape = [1] }',
        "[-1]",
        count=np.array([5000], dtype=np.int64),
    )

    assert make(recipe) == 0

    (sample,) = json.loads((recipe.parent / "kit/kit.json").read_text())["samples"]
    assert sample["inputs"] == [{"name": "count", "shape": [1], "file": "samples/one.count"}]
    assert sample["golden"] == [{"name": "y", "dtype": "FP32", "shape": [5000], "file": "golden/one.y"}]
    assert (recipe.parent / "kit/golden/one.y").read_bytes() == bytes(20_000)
    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0
    assert main(["bundle", "validate", str(tmp_path / "tensors-1.0.0")]) == 0


def test_tensors_may_have_names_that_no_file_can_have(tmp_path):
    """As those of models that were made by TensorFlow."""
    model = build([helper.make_node("Neg", ["in/x:0"], ["out/y~0"])], [("in/x:0", 1, [5000])], [("out/y~0", 1, [5000])])
    recipe = with_tensors(
        tmp_path / "src",
        model.SerializeToString(),
        '{ name = "in/x:0", dtype = "FP32", shape = [5000] }',
        "[5000]",
        **{"in/x:0": np.ones(5000, dtype=np.float32)},
    )
    recipe.write_text(recipe.read_text().replace('"y"', '"out/y~0"'))

    assert make(recipe) == 0
    assert main(["bundle", "build", str(recipe), "--out", str(tmp_path)]) == 0

    names = {path.name for path in (tmp_path / "tensors-1.0.0/kit").rglob("one.*")}
    assert names == {"one.in+2Fx+3A0", "one.out+2Fy+7E0"}


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"x": np.ones(2, dtype=np.float64)}, "x is FP64"),
        ({"z": np.ones(2, dtype=np.float32)}, "has the arrays z"),
        ({"x": np.ones(3, dtype=np.float32)}, "input x has shape [3], the pipeline takes [2]"),
        ({"x": np.array([-1, 1], dtype=np.float32)}, "one: output y has NaN or infinities"),
    ],
)
def test_what_is_no_request_or_no_answer_is_told(tmp_path, capsys, arrays, reason):
    model = build([helper.make_node("Log", ["x"], ["y"])], [("x", 1, [2])], [("y", 1, [2])], initializers=[])
    recipe = with_tensors(
        tmp_path / "src", model.SerializeToString(), '{ name = "x", dtype = "FP32", shape = [2] }', "[2]", **arrays
    )

    assert make(recipe) == 10

    assert reason in capsys.readouterr().err
    assert not (recipe.parent / "kit").exists()


def test_a_pipeline_that_does_not_fit_the_model_is_told_before_anything_runs(tmp_path, capsys):
    model = build(
        [helper.make_node("Add", ["x", "c"], ["y"])],
        [("x", 1, [3])],
        [("y", 1, [3])],
        initializers=[constant("c", [0.0])],
    )
    spec = '{ name = "x", dtype = "FP32", shape = [2] }'
    recipe = with_tensors(tmp_path / "src", model.SerializeToString(), spec, "[3]", x=np.ones(2, dtype=np.float32))

    assert make(recipe) == 10
    assert "/variants/0/inputs/0" in capsys.readouterr().err
