"""What comes into a bundle beside one ONNX model: models in other formats, files that steps read, what is known of a model."""

import json
import shutil
from pathlib import Path

import pytest

from edged.bundle.manifest import Metric, Origin
from edged.bundle.parse import parse_manifest
from edged.errors import BundleError, ManifestError, ModelLoadError, UnsafeModelError
from edged.files import hash_bytes
from edged.publish.building.build import build_bundle
from edged.publish.building.sidecar import write_sidecar
from tests.fakes.bundles import adder_model, make_recipe
from tests.fakes.models import build as build_model
from tests.fakes.models import helper

PACKAGE = Path(__file__).parents[3] / "golden/formats/tiny.mlpackage"
EXECUTORCH = b"\x10\x00\x00\x00ET12" + bytes(40)


@pytest.fixture
def sources(tmp_path):
    return make_recipe(tmp_path / "sources").parent


def built(sources, *more):
    recipe = sources / "recipe.toml"
    recipe.write_text(recipe.read_text() + "".join(more))
    directory = build_bundle(recipe, sources.parent / "out", report=lambda _line: None)
    return directory, parse_manifest((directory / "manifest.json").read_bytes(), source="manifest")


def variant(model, format_, *more, runtime='{ name = "executorch", version = ">=0.4" }', precision="fp32"):
    lines = [
        "", "[[variants]]", f'model = "{model}"', 'tier = "speed"', f'precision = "{precision}"', f'format = "{format_}"',
        'targets = { arch = ["arm64"] }', "budget = { latency_ms = 10.0, memory_bytes = 1048576 }",
        *([f"runtime = {runtime}"] if runtime else []), *more, "",
    ]  # fmt: skip
    return "\n".join(lines)


def problems_of(sources, *more):
    with pytest.raises(ManifestError) as caught:
        built(sources, *more)
    return {problem.pointer: problem.expected for problem in caught.value.problems}


def test_a_model_that_does_not_say_its_tensors_has_those_of_the_first_onnx_model(sources):
    (sources / "adder.pte").write_bytes(EXECUTORCH)
    directory, manifest = built(sources, variant("adder.pte", "executorch"))

    onnx, alternate = manifest.variants
    assert alternate.id == "adder-1.0.0-fp32-arm64-executorch"
    assert [(file.path, file.role) for file in alternate.files] == [(f"models/{alternate.id}.pte", "model")]
    assert (directory / alternate.model_file.path).read_bytes() == EXECUTORCH
    assert alternate.model_file.sha256 == hash_bytes(EXECUTORCH)
    assert (alternate.inputs, alternate.outputs) == (onnx.inputs, onnx.outputs)


def test_the_recipe_may_say_them(sources):
    (sources / "adder.engine").write_bytes(b"opaque")
    runtime = '{ name = "tensorrt", version = ">=10.3,<10.4" }'
    inputs = 'inputs = [{ name = "window", dtype = "INT32", shape = [-1, 8] }]'
    _, manifest = built(sources, variant("adder.engine", "tensorrt", inputs, runtime=runtime))

    assert [spec.shape for spec in manifest.variants[1].inputs] == [(-1, 8)]
    assert manifest.variants[1].outputs == manifest.variants[0].outputs


def test_models_of_several_files_come_whole(sources):
    port = '<port id="{}" precision="{}"><dim>1</dim><dim>{}</dim></port>'
    (sources / "adder.xml").write_text(
        '<net name="adder"><layers>'
        f'<layer id="0" name="window" type="Parameter"><output>{port.format(0, "I32", 8)}</output></layer>'
        f'<layer id="1" name="sum" type="ReduceSum"><output>{port.format(2, "FP32", 1)}</output></layer>'
        '<layer id="2" name="sum/result" type="Result"/></layers><edges>'
        '<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>'
        '<edge from-layer="1" from-port="2" to-layer="2" to-port="0"/></edges></net>'
    )
    (sources / "adder.bin").write_bytes(b"weights")
    runtime = '{ name = "openvino", version = ">=2024.0" }'
    _, manifest = built(sources, variant("adder.xml", "openvino", runtime=runtime))

    id_ = manifest.variants[1].id
    assert {file.path: file.role for file in manifest.variants[1].files} == {
        f"models/{id_}.xml": "model",
        f"models/{id_}.bin": "weights",
    }
    assert {"adder.xml", "adder.bin"} <= {item.name for item in manifest.provenance.making.inputs}


def test_a_model_that_is_a_directory_comes_as_one(sources):
    shutil.copytree(PACKAGE, sources / "tiny.mlpackage")
    # Its tensors are its own; here it stands for any package.
    tensors = [
        'inputs = [{ name = "window", dtype = "INT32", shape = [1, 8] }]',
        'outputs = [{ name = "sum", dtype = "FP32", shape = [1, 1] }]',
    ]
    runtime = '{ name = "coreml", version = ">=8.0" }'
    directory, manifest = built(sources, variant("tiny.mlpackage", "coreml", *tensors, runtime=runtime))

    package = f"models/{manifest.variants[1].id}.mlpackage"
    assert {file.path for file in manifest.variants[1].files} == {
        f"{package}/{path.relative_to(PACKAGE)}" for path in PACKAGE.rglob("*") if path.is_file()
    }
    assert manifest.variants[1].model_file.path == f"{package}/Manifest.json"
    assert "tiny.mlpackage/Manifest.json" in {item.name for item in manifest.provenance.making.inputs}
    assert (directory / package / "Manifest.json").read_bytes() == (PACKAGE / "Manifest.json").read_bytes()


def test_what_contradicts_itself_is_told_at_once(sources):
    (sources / "adder.pte").write_bytes(b"something else")
    inputs = 'inputs = [{ name = "window", dtype = "INT32", shape = [1, 8] }]'
    found = problems_of(
        sources,
        'training_config = "absent.yaml"\ntraining_config_sha256 = "' + 64 * "a" + '"\n',
        variant("adder.pte", "executorch", runtime=""),
        variant("adder.onnx", "onnx", inputs, runtime='{ name = "onnxruntime", version = ">=1.20" }'),
        variant("adder.onnx", "onnx", runtime=""),
    )

    assert found.keys() == {
        "/variants/1/model", "/variants/1/runtime", "/variants/2/inputs", "/variants/3",
        "/provenance/training_config_sha256",
    }  # fmt: skip
    assert "ExecuTorch" in found["/variants/1/model"]


def test_what_is_known_of_a_model_comes_with_it(sources):
    origin = Origin(method="distilled", made_from=64 * "b")
    metric = Metric(metric="mean_absolute_error", output="sum", value=0.25, samples=100)
    write_sidecar(sources / "adder.onnx", origin=origin, metrics=(metric,))
    _, manifest = built(sources)

    assert manifest.variants[0].origin == origin
    assert manifest.variants[0].metrics == (metric,)
    assert "adder.onnx.origin.json" in {item.name for item in manifest.provenance.making.inputs}


def test_what_is_known_of_another_model_is_refused(sources):
    write_sidecar(sources / "adder.onnx", origin=Origin(method="exported"))
    (sources / "adder.onnx").write_bytes(adder_model(more=1.0))

    assert set(problems_of(sources)) == {"/sha256"}


def test_a_variant_may_have_tolerances_of_its_own(sources):
    (sources / "adder.pte").write_bytes(EXECUTORCH)
    tolerance = 'tolerance = [{ output = "sum", absolute = 0.5 }]'
    _, manifest = built(sources, variant("adder.pte", "executorch", tolerance, precision="int8"))

    assert manifest.variants[1].tolerance[0].absolute == 0.5


def with_graph(sources, graph: bytes):
    (sources / "double.onnx").write_bytes(graph)
    recipe = sources / "recipe.toml"
    step = (
        'post = [{ op = "graph@1", file = "double.onnx",'
        ' inputs = [{ name = "x", tensor = "sum", dtype = "FP32", shape = [1, 1] }],'
        ' outputs = [{ name = "y", tensor = "double", dtype = "FP32", shape = [1, 1] }] }]'
    )
    recipe.write_text(recipe.read_text().replace("\noutputs = [", f"\n{step}\noutputs = ["))
    return '[[files]]\nsource = "double.onnx"\npath = "double.onnx"\nrole = "graph"\n'


def test_a_graph_of_a_step_is_loaded_when_the_bundle_is_built(sources):
    graph = build_model([helper.make_node("Add", ["x", "x"], ["y"])], [("x", 1, [1, 1])], [("y", 1, [1, 1])])
    _, manifest = built(sources, with_graph(sources, graph.SerializeToString()))

    assert manifest.file("double.onnx").role == "graph"


@pytest.mark.parametrize(
    ("graph", "error"),
    [
        (b"not a model", UnsafeModelError),
        (adder_model(), ModelLoadError),
        (adder_model().replace(b"ReduceMax", b"ReduceMex"), ModelLoadError),
    ],
    ids=["no model", "another graph", "no such operator"],
)
def test_a_graph_that_no_worker_could_load_is_not_built(sources, graph, error):
    files = with_graph(sources, graph)

    with pytest.raises(error, match=r"recipe\.toml: /pipeline/post/0: "):
        built(sources, files)
    assert list((sources.parent / "out").iterdir()) == []


def test_a_file_of_a_step_that_it_cannot_read_is_not_built(sources):
    recipe = sources / "recipe.toml"
    best = '{ op = "top_k@1", input = "sum", values = "v", indices = "i", k = 1 }'
    post = f'post = [{best}, {{ op = "labels@1", input = "i", output = "l", file = "l" }}]'
    recipe.write_text(recipe.read_text().replace("\noutputs = [", f"\n{post}\noutputs = ["))
    (sources / "labels").write_bytes(b"\xff\xfe")

    with pytest.raises(BundleError, match=r"/pipeline/post/1: .*l"):
        built(sources, '[[files]]\nsource = "labels"\npath = "l"\nrole = "labels"\n')


def test_a_kit_with_a_key_twice_is_refused(sources):
    kit = sources / "kit/kit.json"
    kit.write_text(kit.read_text().replace('"schema": 1', '"schema": 1, "schema": 1'))

    assert json.loads(kit.read_text())["schema"] == 1
    assert [pointer for pointer in problems_of(sources) if pointer.endswith("kit.json/schema")]
