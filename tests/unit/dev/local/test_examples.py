"""What is printed for a developer to try is a request to their model, in the form that is easiest to read."""

import json
import shlex
from pathlib import Path

import pytest
from msgspec import structs

from edged.api.oip.request import HEADER_LENGTH
from edged.codec import encode_canonical
from edged.dev.local import examples
from edged.dev.local.examples import write_example
from edged.pipeline.datatypes import pack, pack_bytes
from edged.pipeline.spec import TensorSpec
from tests.fakes.plain_manifests import toy_manifest

SOCKET = Path("/run/edged.sock")


@pytest.fixture
def commands(tmp_path):
    """Write the example of a model by its inputs (name, type, the model's shape, the sample's, bytes); returns commands as words."""

    def commands(*inputs, file=None):
        specs = tuple(TensorSpec(name=name, dtype=dtype, shape=shape) for name, dtype, shape, _, _ in inputs)
        (tmp_path / "kit").mkdir()
        given = []
        for name, _, _, shape, data in inputs:
            (tmp_path / f"kit/{name}").write_bytes(data)
            given.append({"name": name, "shape": shape, "file": f"kit/{name}"})
        sample = {"input": f"kit/{specs[0].name}"} if file else {"inputs": given}
        golden = {"name": "y", "dtype": "FP32", "shape": [1], "data": [1.0]}
        kit = {"schema": 1, "reference": "r", "samples": [{"name": "s", "golden": [golden], **sample}]}
        (tmp_path / "kit/kit.json").write_bytes(encode_canonical(kit))
        manifest = toy_manifest()
        manifest = structs.replace(manifest, pipeline=structs.replace(manifest.pipeline, inputs=specs))
        return [shlex.split(each) for each in write_example(tmp_path, manifest, place=tmp_path, socket=SOCKET)]

    return commands


def body_of(curl):
    assert curl[:3] == ["curl", "--unix-socket", str(SOCKET)]
    assert curl[-1] == "http://localhost/v2/models/toy/infer"
    return Path(curl[curl.index("--data-binary") + 1].removeprefix("@")).read_bytes()


def header_length(curl):
    fields = dict(word.split(": ") for word in curl if word.startswith(HEADER_LENGTH))
    return int(fields[HEADER_LENGTH])


def test_few_numbers_are_json_that_a_person_can_read(commands):
    curl, _ = commands(("x", "FP32", (-1, 2), (1, 2), pack("FP32", [0.1, 0.25])))

    assert json.loads(body_of(curl)) == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 0.25]}]
    }
    assert "-H" not in curl


def test_texts_are_json(commands):
    (curl,) = commands(("x", "BYTES", (-1, 2), (1, 2), pack_bytes([b"one", b"two"])))

    assert json.loads(body_of(curl))["inputs"][0]["data"] == ["one", "two"]


def test_many_numbers_are_bytes_behind_a_header(commands, monkeypatch):
    monkeypatch.setattr(examples, "MOST_IN_JSON", 3)
    inputs = [(name, "INT32", (2,), (2,), pack("INT32", values)) for name, values in (("a", [1, 2]), ("b", [3, 4]))]

    (curl,) = commands(*inputs)

    body, length = body_of(curl), header_length(curl)
    header = json.loads(body[:length])["inputs"]
    assert [(each["name"], each["parameters"]["binary_data_size"]) for each in header] == [("a", 8), ("b", 8)]
    assert body[length:] == pack("INT32", [1, 2, 3, 4])


def test_bytes_that_are_no_text_are_sent_as_they_are(commands):
    data = pack_bytes([b"\xff\xfe"])

    curl, _ = commands(("x", "BYTES", (1,), (1,), data))

    assert body_of(curl)[header_length(curl) :] == data


def test_edgectl_sends_the_one_input_as_a_file(commands):
    _, edgectl = commands(("x", "UINT8", (-1, 4), (1, 4), b"abcd"))

    assert edgectl[:-1] == ["edgectl", "--socket", str(SOCKET), "infer", "toy"]
    assert Path(edgectl[-1]).read_bytes() == b"abcd"


def test_a_file_that_the_model_takes_is_sent_whole(commands):
    _, edgectl = commands(("x", "BYTES", (1,), (1,), b"a file"), file=True)

    assert Path(edgectl[-1]).read_bytes() == b"a file"


def test_edgectl_is_left_out_where_a_file_does_not_say_its_shape(commands):
    """With two free axes, the number of bytes does not tell either."""
    assert len(commands(("x", "UINT8", (-1, -1), (1, 4), b"abcd"))) == 1
