import tomllib

import numpy as np
import pytest

from edged.bundle.parse import parse_manifest
from edged.pipeline.spec import TensorSpec
from edged.publish.building.build import build_bundle
from edged.publish.building.first_recipe import first_recipe, name_from, precision_of
from edged.publish.building.recipe import read_recipe
from edged.publish.main import main
from tests.fakes.bundles import make_recipe, numpy_helper
from tests.fakes.models import build, helper


def model_with(*weights):
    initializers = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(weights)]
    node = helper.make_node("Identity", ["x"], ["y"])
    return build([node], [("x", 1, ["n", 3])], [("y", 1, ["n", 3])], initializers=initializers).SerializeToString()


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("gauge", "gauge"),
        ("Gauge Reader (v2)", "gauge-reader-v2"),
        ("модель", "model"),
        ("_x_", "x"),
        ("a" * 80, "a" * 63),
        ("mobilenet_v3.onnx", "mobilenet_v3.onnx"),
    ],
)
def test_a_name_is_made_of_the_files(stem, name):
    assert name_from(stem) == name


@pytest.mark.parametrize(
    ("weights", "precision"),
    [
        ([], "fp32"),
        ([np.zeros(9, np.float32), np.zeros(3, np.int8)], "fp32"),
        ([np.zeros(3, np.float32), np.zeros((3, 3), np.int8)], "int8"),
        ([np.zeros(3, np.float32), np.zeros((3, 3), np.float16)], "fp16"),
        ([np.zeros(3, np.float32), np.zeros((30, 3), np.int64)], "fp32"),
    ],
)
def test_precision_is_that_of_most_weights(weights, precision):
    assert precision_of(model_with(*weights)) == precision


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "tab\tand\x7fdel", "naïve 😀", "{braces}", "new\nline"])
def test_any_names_of_tensors_are_written_as_toml(tmp_path, name):
    specs = [TensorSpec(name=name, dtype="FP32", shape=(-1, 3))]
    text = first_recipe(name="x", file="m.onnx", size_bytes=5, precision="fp32", inputs=specs, outputs=specs)
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")

    recipe = read_recipe(tmp_path / "x.toml")
    assert recipe.pipeline.inputs == tuple(specs)
    assert recipe.validation.tolerance[0].output == name


def test_first_recipe_builds_as_soon_as_there_is_a_kit(tmp_path, capsys):
    (tmp_path / "my model.onnx").write_bytes(model_with(np.zeros(9, np.float16)))
    assert main(["bundle", "init", str(tmp_path / "my model.onnx"), "--name", "first"]) == 0
    recipe = tmp_path / "first.toml"
    assert capsys.readouterr().out == f"{recipe}\n"
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit/kit.json").write_text(
        '{"schema": 1, "reference": "x", "samples": [{"name": "a", "inputs": [{"name": "x", "shape": [1, 3], "data": [1, 2, 3]}],'
        '"golden": [{"name": "y", "dtype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}]}'
    )

    built = build_bundle(recipe, tmp_path / "out", report=lambda _line: None)
    manifest = parse_manifest((built / "manifest.json").read_bytes(), source="manifest")
    assert manifest.variants[0].id == "first-0.1.0-fp16-any"
    assert [str(spec) for spec in manifest.pipeline.inputs] == ["FP32 [any, 3]"]


def test_nothing_that_exists_is_replaced(tmp_path):
    recipe = make_recipe(tmp_path)
    recipe.rename(tmp_path / "adder.toml")
    before = (tmp_path / "adder.toml").read_text()

    assert main(["bundle", "init", str(tmp_path / "adder.onnx")]) == 2
    assert (tmp_path / "adder.toml").read_text() == before


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        (None, [], 2),
        (b"not a model", [], 10),
        (model_with(), ["--name", "Not A Name"], 2),
        (model_with(), ["--name", ""], 2),
    ],
)
def test_what_cannot_be_begun_is_refused(tmp_path, content, arguments, code):
    if content is not None:
        (tmp_path / "m.onnx").write_bytes(content)

    assert main(["bundle", "init", str(tmp_path / "m.onnx"), *arguments]) == code
    assert not list(tmp_path.glob("*.toml"))


def test_comments_explain_every_field_that_a_variant_has_to_have():
    text = first_recipe(name="x", file="m.onnx", size_bytes=5, precision="fp32", inputs=[], outputs=[])
    value = tomllib.loads(text)

    assert set(value) == {"name", "version", "variants", "pipeline", "validation", "provenance"}
