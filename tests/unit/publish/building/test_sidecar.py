"""What is said of a model file is read back with the bundle, and never taken for another file's."""

import json

import pytest

from edged.bundle.manifest import Metric, Origin
from edged.errors import ManifestError
from edged.files import hash_file
from edged.publish.building.sidecar import read_sidecar, sidecar_path, write_sidecar
from edged.publish.main import main

METRIC = Metric(metric="mean_absolute_error", output="angle", value=1.25, samples=10)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "small.onnx"
    path.write_bytes(b"the small one")
    return path


def test_what_is_written_is_read_back(model):
    origin = Origin(method="distilled")
    path = write_sidecar(model, origin=origin, metrics=(METRIC,))

    sidecar = read_sidecar(model)

    assert path.name == "small.onnx.origin.json"
    assert (sidecar.origin, sidecar.metrics) == (origin, (METRIC,))


def test_nothing_said_is_nothing_read(model):
    assert read_sidecar(model) is None


def test_what_was_said_of_an_earlier_file_is_refused(model):
    write_sidecar(model, origin=Origin(method="exported"))
    model.write_bytes(b"another")

    with pytest.raises(ManifestError, match=r"/sha256: expected [0-9a-f]{64}, the SHA-256 of small\.onnx") as caught:
        read_sidecar(model)

    assert "remove small.onnx.origin.json" in caught.value.hint


def test_a_sidecar_that_follows_no_type_names_the_place(model):
    write_sidecar(model, origin=Origin(method="exported"))
    document = json.loads(sidecar_path(model).read_bytes())
    document["origin"]["method"] = "guessed"
    sidecar_path(model).write_text(json.dumps(document))

    with pytest.raises(ManifestError, match="/origin/method"):
        read_sidecar(model)


def test_origin_says_how_a_model_from_elsewhere_was_made(model, tmp_path, capsys):
    teacher = tmp_path / "teacher.onnx"
    teacher.write_bytes(b"the large one")
    settings = tmp_path / "settings.yaml"
    settings.write_text("epochs: 40\n")
    write_sidecar(model, origin=Origin(method="exported"), metrics=(METRIC,))

    how = ("--how", "distil.py --epochs 40", "--tool", "torch=2.13.0", "--input", str(settings))
    assert main(["origin", str(model), "--method", "distilled", "--made-from", str(teacher), *how]) == 0

    assert capsys.readouterr().out == f"{sidecar_path(model)}\n"
    sidecar = read_sidecar(model)
    assert sidecar.origin.method == "distilled"
    assert sidecar.origin.made_from == hash_file(teacher)[0]
    assert sidecar.origin.making.tools == {"torch": "2.13.0"}
    assert [(item.name, item.sha256) for item in sidecar.origin.making.inputs] == [
        ("settings.yaml", hash_file(settings)[0])
    ]
    assert sidecar.metrics == (METRIC,)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--made-from", "gone.onnx"), 2, "cannot read gone.onnx"),
        (("--tool", "torch=2"), 2, "need --how"),
        (("--how", "x", "--tool", "torch"), 2, "expected a name and a version"),
        (("--how", "x", "--input", "gone"), 2, "cannot read gone"),
        (("--how", "x" * 3000), 10, "/origin/making/command"),
    ],
)
def test_an_origin_that_cannot_be_said_is_refused_and_nothing_is_written(model, capsys, arguments, code, words):
    assert main(["origin", str(model), "--method", "quantization-aware", *arguments]) == code

    assert words in capsys.readouterr().err
    assert not sidecar_path(model).exists()


def test_an_origin_of_nothing_is_refused(tmp_path, capsys):
    assert main(["origin", str(tmp_path / "gone.onnx"), "--method", "imported"]) == 2

    assert "cannot read" in capsys.readouterr().err
