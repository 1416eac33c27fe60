"""Models in each format a bundle can carry are told from other files, and say which tensors they have."""

import json
import shutil
import struct
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edged.errors import BundleError, EdgedError
from edged.pipeline.spec import TensorSpec
from edged.publish.formats import describe
from tests.fakes.models import identity_model

PACKAGE = Path(__file__).parents[3] / "golden/formats/tiny.mlpackage"
WAKEWORD = find_spec("pymicro_wakeword")

IR = """<?xml version="1.0"?>
<net name="tiny" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="?,3" element_type="f32"/>
      <output><port id="0" precision="FP32" names="x"><dim>-1</dim><dim>3</dim></port></output>
    </layer>
    <layer id="1" name="Relu_1" type="ReLU" version="opset1">
      <input><port id="0" precision="FP32"><dim>-1</dim><dim>3</dim></port></input>
      <output><port id="1" precision="FP32" names="y,z"><dim>-1</dim><dim>3</dim></port></output>
    </layer>
    <layer id="2" name="Relu_1/sink" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>-1</dim><dim>3</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
  </edges>
</net>
"""


@pytest.fixture
def openvino(tmp_path):
    path = tmp_path / "tiny.xml"
    path.write_text(IR)
    path.with_suffix(".bin").write_bytes(b"")
    return path


@pytest.fixture
def coreml(tmp_path):
    return Path(shutil.copytree(PACKAGE, tmp_path / "tiny.mlpackage"))


@pytest.fixture
def wakeword():
    if WAKEWORD is None:
        pytest.skip("needs pymicro-wakeword, which Debian does not have, for its LiteRT models")
    return Path(WAKEWORD.origin).parent / "models/okay_nabu.tflite"


def test_onnx_says_what_onnx_runtime_says(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(identity_model(shape=("n", 3)))

    described = describe(path, "onnx")

    assert [(file.source, file.name, file.role) for file in described.files] == [(path, ".onnx", "model")]
    assert [spec.shape for spec in described.inputs] == [(-1, 3)]


def test_openvino_is_two_files_with_tensors_named_as_before_the_conversion(openvino):
    described = describe(openvino, "openvino")

    assert [(file.source.name, file.name, file.role) for file in described.files] == [
        ("tiny.xml", ".xml", "model"),
        ("tiny.bin", ".bin", "weights"),
    ]
    assert described.inputs == (TensorSpec(name="x", dtype="FP32", shape=(-1, 3)),)
    assert described.outputs == (TensorSpec(name="y", dtype="FP32", shape=(-1, 3)),)


def test_coreml_is_a_directory_whose_list_stands_for_it(coreml):
    described = describe(coreml, "coreml")

    assert [(file.name, file.role) for file in described.files] == [
        (".mlpackage/Manifest.json", "model"),
        (".mlpackage/Data/com.apple.CoreML/model.mlmodel", "weights"),
    ]
    assert described.inputs == (
        TensorSpec(name="x", dtype="FP32", shape=(1, 4)),
        TensorSpec(name="y", dtype="FP32", shape=(2,)),
    )
    assert described.outputs == (TensorSpec(name="out", dtype="FP32", shape=(1, 4)),)


def test_litert_says_its_tensors(wakeword):
    described = describe(wakeword, "tflite")

    assert [(spec.dtype, spec.shape) for spec in described.inputs] == [("INT8", (1, 3, 40))]
    assert [(spec.dtype, spec.shape) for spec in described.outputs] == [("UINT8", (1, 1))]


@pytest.mark.parametrize(
    ("format_", "content", "name"), [("executorch", b"\x10\0\0\0ET12rest", ".pte"), ("tensorrt", b"ftrt", ".engine")]
)
def test_formats_that_do_not_say_their_tensors_are_carried(tmp_path, format_, content, name):
    path = tmp_path / "model"
    path.write_bytes(content)

    described = describe(path, format_)

    assert [file.name for file in described.files] == [name]
    assert described.inputs is None
    assert described.outputs is None


FOREIGN = (b"", b"no model", b"\x89PNG\r\n\x1a\n" + bytes(64))


@pytest.mark.parametrize(
    ("format_", "content"),
    # What a TensorRT engine looks like is no one's business but TensorRT's: only an empty file cannot be one.
    [(format_, content) for format_ in ("onnx", "tflite", "openvino", "executorch") for content in FOREIGN]
    + [("tensorrt", b"")],
)
def test_a_file_of_another_kind_is_refused(tmp_path, format_, content):
    path = tmp_path / "model.bin"
    path.write_bytes(content)

    with pytest.raises(EdgedError, match=r"model|program|engine"):
        describe(path, format_)


@pytest.mark.parametrize("format_", ["onnx", "tflite", "openvino", "executorch", "coreml", "tensorrt"])
def test_what_is_not_there_is_refused(tmp_path, format_):
    with pytest.raises(BundleError, match="nothing"):
        describe(tmp_path / "nothing", format_)


def test_a_directory_is_no_file_and_a_file_no_package(tmp_path):
    with pytest.raises(BundleError, match="is a directory"):
        describe(tmp_path, "tflite")
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with pytest.raises(BundleError, match="is not a directory"):
        describe(file, "coreml")


def test_openvino_without_its_weights_is_refused(openvino):
    openvino.with_suffix(".bin").unlink()

    with pytest.raises(BundleError, match=r"has no tiny\.bin beside it"):
        describe(openvino, "openvino")


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("<net ", "<!DOCTYPE net><net ", "document type"),
        ("</net>", "", "no element found"),
        ('from-layer="1"', 'from-layer="9"', "nothing leads to"),
        ('from-port="1"', 'from-port="9"', "has no output"),
        ("<dim>3</dim>", "<dim>three</dim>", "no number"),
        ('precision="FP32" names="x"', 'precision="NF4" names="x"', "cannot send"),
    ],
)
def test_a_broken_description_of_a_graph_says_what_is_wrong(openvino, before, after, reason):
    assert before in IR
    openvino.write_text(IR.replace(before, after))

    with pytest.raises(BundleError, match=reason):
        describe(openvino, "openvino")


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "[]",
        "{}",
        '{"rootModelIdentifier": "a"}',
        json.dumps({"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "gone.mlmodel"}}}),
        json.dumps({"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "../../etc/passwd"}}}),
        json.dumps({"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": "/etc/passwd"}}}),
        "[" * 100_000,
    ],
)
def test_a_package_that_names_no_model_of_its_own_is_refused(coreml, listed):
    (coreml / "Manifest.json").write_text(listed)

    with pytest.raises(BundleError, match=r"Manifest\.json names"):
        describe(coreml, "coreml")


def test_a_package_with_a_link_is_refused(coreml):
    (coreml / "Data/weights").symlink_to("/etc/passwd")

    with pytest.raises(BundleError, match="symbolic link"):
        describe(coreml, "coreml")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_litert_model_is_described_or_refused(wakeword, tmp_path, data):
    """Every offset of the format can lead anywhere."""
    content = bytearray(wakeword.read_bytes())
    # The head and the end are where the tables are; weights lie between.
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.sampled_from([*range(64), *range(len(content) - 9000, len(content) - 4)]))
        struct.pack_into("<I", content, at, data.draw(st.sampled_from([0, 1, 255, 0x7FFFFFFF, 0xFFFFFFFF])))
    path = tmp_path / "damaged.tflite"
    path.write_bytes(bytes(content))

    with suppress(BundleError):
        assert describe(path, "tflite").inputs is not None
