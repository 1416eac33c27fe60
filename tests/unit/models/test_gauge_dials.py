"""Dials follow from their seed, and the picture shows what the truth says."""

import math
from dataclasses import replace

import numpy as np
import pytest

from models.gauge.dials import NO_NEEDLE_SHARE, SHAPES, Light, choose_dial
from models.gauge.drawing import SIZE, draw_dial
from models.gauge.make_sets import write_calibration, write_evaluation
from models.gauge.sets import EVALUATION_SEED, make_set

PLAIN = Light(gradient=(0, 0), exposure=1, gamma=1, glare=None, shadow=None, blur=0, noise=0, noise_seed=0)
NUMBERS = [number for number in range(40) if choose_dial(5, number).needle is not None]


def test_the_same_seed_and_number_give_the_same_picture():
    assert np.array_equal(draw_dial(choose_dial(5, 3)), draw_dial(choose_dial(5, 3)))


def test_a_dial_does_not_depend_on_those_before_it():
    assert make_set(5, 4).dials[3] == choose_dial(5, 3)


def test_other_seeds_give_other_dials():
    assert len({choose_dial(seed, number) for seed in range(1, 5) for number in range(20)}) == 80


def test_a_picture_has_the_models_size():
    picture = draw_dial(choose_dial(5, 0))

    assert (picture.shape, picture.dtype) == ((SIZE, SIZE), np.uint8)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_truth_is_where_the_picture_shows_the_needle(number):
    """What a needle without tail changes in a picture lies, on average, in its direction from the hub."""
    dial = choose_dial(5, number)
    dial = replace(
        dial,
        light=PLAIN,
        ink=dial.face,
        scale=replace(dial.scale, band=None),
        hub=(0.001, dial.face),
        needle=replace(dial.needle, tail=0, counterweight=0, shade=0),
    )

    with_needle, without = (draw_dial(d, 256).astype(float) for d in (dial, replace(dial, needle=None)))
    changed = np.abs(with_needle - without)
    rows, columns = np.indices(changed.shape)
    x = ((columns + 0.5) * changed).sum() / changed.sum() / 256
    y = ((rows + 0.5) * changed).sum() / changed.sum() / 256
    hub_x, hub_y = dial.camera.project(0, 0)
    seen = math.degrees(math.atan2(x - hub_x, hub_y - y))

    assert abs((seen - dial.angle + 180) % 360 - 180) < 1.5


def test_some_pictures_have_no_needle_and_no_truth():
    angles = [choose_dial(6, number).angle for number in range(900)]

    assert NO_NEEDLE_SHARE / 2 < angles.count(None) / len(angles) < NO_NEEDLE_SHARE * 2


def test_needles_point_everywhere_and_have_every_shape():
    """A twelfth of the circle has at least half of its share of needles."""
    dials = [dial for number in range(900) if (dial := choose_dial(6, number)).needle is not None]
    counts = np.bincount([int(dial.angle // 30) for dial in dials], minlength=12)

    assert counts.size == 12
    assert counts.min() > len(dials) / 24
    assert {dial.needle.shape for dial in dials} == set(SHAPES)


def test_the_sets_for_quantization_have_the_models_input_and_the_truth(tmp_path):
    write_calibration(tmp_path / "calibration.npz", 5)
    write_evaluation(tmp_path / "evaluation.npz", 40)

    with np.load(tmp_path / "calibration.npz") as calibration, np.load(tmp_path / "evaluation.npz") as evaluation:
        angles = make_set(EVALUATION_SEED, 40).angles
        assert calibration["image"].shape == (5, 1, SIZE, SIZE)
        assert evaluation["image"].dtype == np.float32
        assert np.isnan(angles).any()
        assert np.array_equal(evaluation["truth.angle"][:, 0], angles[~np.isnan(angles)].astype(np.float32))
        assert len(evaluation["image"]) == len(evaluation["truth.angle"])
