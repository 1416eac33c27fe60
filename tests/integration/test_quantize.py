"""Smaller variants of a model are made by the real tools, judged on real answers, and kept only when these are good enough.

The command runs as a process of its own: the tools change the runtime's process for good (see ``edged.publish.quantize.make``).
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest

import edged
from edged.onnx.safety import check_model
from edged.publish.building.sidecar import read_sidecar
from tests.fakes.models import TensorProto, build, constant, helper, onnx

RECIPE = """
name = "tiny"
version = "1.0.0"

[[variants]]
model = "tiny-fp32.onnx"
tier = "quality"
precision = "fp32"
targets = { arch = ["amd64", "arm64"] }
budget = { latency_ms = 50.0, memory_bytes = 134217728 }

[pipeline]
inputs = [{ name = "x", dtype = "FP32", shape = [-1, 16] }]
outputs = [{ name = "y", dtype = "FP32", shape = [-1, 4] }]

[validation]
kit = "kit"
tolerance = [{ output = "y", absolute = 0.1 }]
metrics = [{ metric = "mean_absolute_error", output = "y", at_most = 0.5 }]

[provenance]
source = "made by a test"
licence = "Apache-2.0"
"""


def network(rng, *, scale: float = 1.0) -> bytes:
    """Two layers: FP32 [n, 16] -> [n, 4]."""
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], name="second"),
    ]
    weights = [
        constant("w1", rng.normal(size=(16, 32)) * scale),
        constant("b1", rng.normal(size=32)),
        constant("w2", rng.normal(size=(32, 4))),
        constant("b2", rng.normal(size=4)),
    ]
    inputs, outputs = [("x", TensorProto.FLOAT, ["n", 16])], [("y", TensorProto.FLOAT, ["n", 4])]
    return build(nodes, inputs, outputs, initializers=weights).SerializeToString()


@pytest.fixture
def project(tmp_path):
    """A recipe with its model, a calibration set, and an evaluation set whose truth is what the model answers."""
    rng = np.random.default_rng(7)
    model = network(rng)
    (tmp_path / "tiny-fp32.onnx").write_bytes(model)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    rows = rng.uniform(-1, 1, size=(64, 16)).astype(np.float32)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    truth = session.run(None, {"x": rows})[0]
    np.savez(tmp_path / "calibration.npz", x=rows[:32])
    np.savez(tmp_path / "evaluation.npz", x=rows, **{"truth.y": truth})
    return SimpleNamespace(directory=tmp_path, rows=rows, truth=truth)


def publish(*arguments, cwd):
    command = [sys.executable, "-m", "edged.publish.main", *map(str, arguments)]
    # Where this edged is, wherever the command runs.
    environment = os.environ | {"PYTHONPATH": str(Path(edged.__file__).parents[1])}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def quantize(project, *arguments, max_loss="0.2"):
    sets = ("--calibration", "calibration.npz", "--evaluation", "evaluation.npz")
    return publish("quantize", "tiny.toml", *sets, "--max-loss", max_loss, *arguments, cwd=project.directory)


def test_each_method_makes_a_smaller_model_with_the_same_tensors(project):
    ended = quantize(project, "--method", "int8", "--method", "int8-dynamic", "--method", "fp16", "--json")

    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert [(item["method"], item["kept"]) for item in document["variants"]] == [
        ("int8", True),
        ("int8-dynamic", True),
        ("fp16", True),
    ]
    assert document["reference"]["value"] == pytest.approx(0, abs=1e-6)
    for item in document["variants"]:
        data = (project.directory / item["model"]).read_bytes()
        check_model(data)
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        # Row by row, as requests come: the dynamic method finds the ranges of each run anew.
        answers = np.concatenate([session.run(["y"], {"x": row[None]})[0] for row in project.rows])
        # The figure in the report is that of the file which was written.
        assert float(np.abs(answers - project.truth).mean()) == pytest.approx(item["value"], rel=1e-3)
        assert item["size_bytes"] == len(data)


def test_what_was_made_says_how(project):
    quantize(project, "--method", "int8")

    reference, made = (read_sidecar(project.directory / f"tiny-{name}.onnx") for name in ("fp32", "int8"))
    assert reference.origin.method == "exported"
    assert made.origin.method == "quantized-static"
    assert made.origin.made_from == reference.sha256
    assert [item.name for item in made.origin.making.inputs] == ["tiny-fp32.onnx", "calibration.npz", "evaluation.npz"]
    assert set(made.origin.making.tools) == {"edged", "onnx", "onnxruntime"}
    assert str(project.directory) not in made.origin.making.command
    assert made.metrics[0].samples == 64


def test_a_variant_that_loses_too_much_is_not_kept_and_an_earlier_one_goes(project):
    """Ranges from inputs a hundred times too small cut off everything that is larger."""
    assert quantize(project, "--method", "int8").returncode == 0
    np.savez(project.directory / "calibration.npz", x=project.rows[:8] / 100)

    ended = quantize(project, "--method", "int8")

    assert ended.returncode == 10
    assert "NOT KEPT" in ended.stdout
    assert "[[variants]]" not in ended.stdout
    assert "tiny-int8.onnx would lose more than 0.2 of mean_absolute_error" in ended.stderr
    assert not list(project.directory.glob("tiny-int8*"))


def test_a_loss_may_be_a_share_of_what_the_reference_has(project):
    """The truth is off by 1 from all answers, so that 10 % are 0.1."""
    np.savez(project.directory / "evaluation.npz", x=project.rows, **{"truth.y": project.truth + 1})

    assert quantize(project, "--method", "int8", max_loss="10%").returncode == 0
    assert quantize(project, "--method", "int8", "--period", "1", max_loss="0%").returncode == 10


def test_a_place_that_cannot_be_written_changes_nothing(project):
    (project.directory / "taken").write_text("a file")

    ended = quantize(project, "--method", "fp16", "--out", "taken/below")

    assert ended.returncode == 1
    assert "taken" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(project.directory.glob("*.origin.json"))


def test_the_same_inputs_give_the_same_bytes(project):
    methods = ("--method", "int8", "--method", "int8-dynamic", "--method", "fp16")
    for out in ("first", "second"):
        assert quantize(project, *methods, "--out", out).returncode == 0

    first, second = (sorted((project.directory / out).glob("*.onnx")) for out in ("first", "second"))
    assert len(first) == 3
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_node_can_be_left_as_it_is(project):
    def weights_of(node):
        made = onnx.load(project.directory / "tiny-int8.onnx")
        stored = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
        given = {output: item for item in made.graph.node for output in item.output}
        [weight] = [item.input[1] for item in made.graph.node if item.name == node]
        return stored.get(weight) or stored[given[weight].input[0]]

    quantize(project, "--method", "int8", "--exclude", "second")
    assert (weights_of("first"), weights_of("second")) == (TensorProto.INT8, TensorProto.FLOAT)

    quantize(project, "--method", "int8")
    assert (weights_of("first"), weights_of("second")) == (TensorProto.INT8, TensorProto.INT8)


def npz(directory, **arrays):
    np.savez(directory / "evaluation.npz", **arrays)


@pytest.mark.parametrize(
    ("arrange", "code", "words"),
    [
        (lambda p: (p / "evaluation.npz").unlink(), 2, "there is no set of samples at evaluation.npz"),
        (lambda p: (p / "evaluation.npz").write_bytes(b"PK\x03\x04 no archive"), 10, "is not a NumPy archive"),
        (lambda p: npz(p, z=np.zeros((2, 16), np.float32)), 10, "has no array x"),
        (lambda p: npz(p, x=np.zeros((2, 16), np.float32)), 10, "does not say the truth of y"),
        (lambda p: npz(p, x=np.zeros((2, 9), np.float32), **{"truth.y": np.zeros((2, 4))}), 10, "[1, 9]"),
        (lambda p: npz(p, x=np.zeros((2, 16), np.float64), **{"truth.y": np.zeros((2, 4))}), 10, "FP64"),
        (lambda p: npz(p, x=np.zeros((2, 16), np.float32), **{"truth.y": np.zeros((3, 4))}), 10, "one number of rows"),
        (lambda p: npz(p, x=np.zeros((2, 16), np.float32), **{"truth.y": np.zeros((2, 9))}), 10, "the truth 9"),
        (lambda p: npz(p, x=np.array([{"a": 1}], dtype=object)), 10, "is not a NumPy archive"),
        (lambda p: (p / "tiny-fp32.onnx").unlink(), 2, "cannot read the model"),
        (lambda p: (p / "tiny-fp32.onnx").write_bytes(b"no model"), 10, "model"),
    ],
)
def test_sets_and_models_that_do_not_fit_are_named(project, arrange, code, words):
    arrange(project.directory)

    ended = quantize(project, "--method", "fp16")

    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (project.directory / "tiny-fp16.onnx").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-loss", "much"), "expected a number of at least 0"),
        (("--max-loss", "-1"), "expected"),
        (("--max-loss", "1", "--exclude", "gone"), "has no node gone"),
        (("--max-loss", "1", "--output", "z"), "no output z"),
        (("--max-loss", "1", "--period", "0"), "--period must be above 0"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(project, arguments, words):
    sets = ("--method", "int8", "--calibration", "calibration.npz", "--evaluation", "evaluation.npz")

    ended = publish("quantize", "tiny.toml", *sets, *arguments, cwd=project.directory)

    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_int8_wants_a_calibration_set(project):
    sets = ("--method", "int8", "--evaluation", "evaluation.npz", "--max-loss", "1")

    ended = publish("quantize", "tiny.toml", *sets, cwd=project.directory)

    assert ended.returncode == 2
    assert "int8 needs a calibration set" in ended.stderr


def test_half_precision_of_a_model_with_large_weights_is_judged_by_its_answers(project):
    """Beyond 65504 there is no half-precision number."""
    (project.directory / "tiny-fp32.onnx").write_bytes(network(np.random.default_rng(7), scale=1e6))

    ended = quantize(project, "--method", "fp16", "--json")

    kept = json.loads(ended.stdout)["variants"][0]
    assert (ended.returncode == 0) == kept["kept"]
    assert kept["kept"] == (kept["loss"] <= 0.2)


def test_a_model_whose_answers_are_no_numbers_is_no_reference(project):
    (project.directory / "tiny-fp32.onnx").write_bytes(network(np.random.default_rng(7), scale=np.inf))

    ended = quantize(project, "--method", "fp16")

    assert ended.returncode == 10
    assert "gives answers that are no numbers" in ended.stderr


def test_a_conversion_to_half_precision_answers_alike(project):
    ended = publish("convert", "tiny-fp32.onnx", "--to", "fp16", "--out", "alternates", cwd=project.directory)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "alternates/tiny-fp16.onnx\n"
    assert read_sidecar(project.directory / "alternates/tiny-fp16.onnx").origin.method == "converted"


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino, which Debian does not have")
def test_a_conversion_to_openvino_answers_alike(project):
    from edged.publish.formats import describe

    ended = publish("convert", "tiny-fp32.onnx", "--to", "openvino", "--out", "alternates", cwd=project.directory)

    assert ended.returncode == 0, ended.stderr
    described = describe(project.directory / "alternates/tiny-fp32.xml", "openvino")
    assert [(spec.name, spec.dtype, spec.shape) for spec in described.inputs] == [("x", "FP32", (-1, 16))]
    assert [(spec.name, spec.dtype, spec.shape) for spec in described.outputs] == [("y", "FP32", (-1, 4))]
    assert read_sidecar(described.files[0].source).origin.making.tools.keys() == {"edged", "openvino"}


@pytest.mark.skipif(find_spec("openvino") is not None, reason="openvino is installed")
def test_a_conversion_without_its_tool_says_what_to_install(project):
    ended = publish("convert", "tiny-fp32.onnx", "--to", "openvino", cwd=project.directory)

    assert ended.returncode == 2
    assert "pip install 'edged[openvino]'" in ended.stderr


def test_a_conversion_that_answers_otherwise_is_not_kept(project):
    arguments = ("tiny-fp32.onnx", "--to", "fp16", "--out", "alternates", "--max-difference", "0")

    ended = publish("convert", *arguments, cwd=project.directory)

    assert ended.returncode == 10
    assert "answers otherwise" in ended.stderr
    assert not list(project.directory.glob("alternates/*"))
