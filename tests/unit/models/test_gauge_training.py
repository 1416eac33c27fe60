"""The training repeats itself bit for bit, and what is exported is what was trained."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="only training needs torch, which pip install '.[gauge-training]' brings")
import torch

from models.gauge import export, train
from models.gauge.metrics import errors_in_degrees
from models.gauge.reading import read_with_onnxruntime
from models.gauge.sets import make_set
from models.gauge.train import Settings

SETTINGS = Settings(dials=192, epochs=2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    return train.train(make_set(SETTINGS.seed, SETTINGS.dials), SETTINGS, out), out / "checkpoint.pt"


def test_the_same_settings_give_the_same_weights(trained, tmp_path):
    train.train(make_set(SETTINGS.seed, SETTINGS.dials), SETTINGS, tmp_path)

    first, second = (torch.load(path, weights_only=True) for path in (trained[1], tmp_path / "checkpoint.pt"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_every_epoch_says_how_far_it_is(trained, tmp_path, capsys):
    train.train(make_set(SETTINGS.seed, 64), Settings(dials=64, epochs=2), tmp_path)

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert lines[1].endswith(" 0 s left")


def test_turned_and_mirrored_pictures_keep_their_truth():
    """A picture whose brightest pixel is the tip of a needle from the middle."""
    picture = np.zeros((1, 9, 9), np.uint8)
    picture[0, 1, 6] = 255
    truth = np.degrees(np.arctan2([2], [3]))

    for seed in range(40):
        turned, angles = train._turned(picture, truth, np.random.default_rng(seed))
        row, column = np.unravel_index(turned[0].argmax(), (9, 9))
        assert errors_in_degrees(np.degrees(np.arctan2([column - 4], [4 - row])), angles)[0] < 1e-9


def test_the_exported_model_answers_as_the_network(trained, tmp_path, monkeypatch):
    network, checkpoint = trained
    monkeypatch.setattr(sys, "argv", ["export", str(checkpoint), "--out", str(tmp_path / "gauge.onnx")])
    export.main()
    dials = make_set(9, 20)

    angles, confidences = train.read(network, dials)
    got_angles, got_confidences = read_with_onnxruntime((tmp_path / "gauge.onnx").read_bytes(), dials.pictures)

    assert np.allclose(got_confidences, confidences, atol=1e-5)
    assert errors_in_degrees(got_angles, angles)[confidences > 0.05].max(initial=0) < 0.01


def test_the_record_says_what_decides_the_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["train", "--out", str(tmp_path), "--dials", "64", "--epochs", "1", "--fresh", "60"]
    )
    train.main()

    record = json.loads((tmp_path / "training.json").read_text())
    assert (record["settings"]["dials"], record["settings"]["epochs"]) == (64, 1)
    assert set(record["versions"]) == {"torch", "numpy", "pillow"}
    assert json.loads((tmp_path / "metrics.json").read_text())["all"]["count"] > 50
