"""The exported graph turns the network's point into degrees in every octant, and folds the normalization as torch applies it."""

import math

import numpy as np
import onnxruntime
import pytest

from edged.onnx.safety import check_model

pytest.importorskip("onnx")
from models.gauge.graph import IR_VERSION, NORM_EPSILON, OPSET, build_model

POINTS = [(math.sin(math.radians(angle)), math.cos(math.radians(angle))) for angle in range(0, 360, 15)]


def weights_for(point=(0.0, 0.0), **changes):
    """One convolution to 8 x 8 that does nothing, and dense layers that answer ``point`` to everything."""
    weights = {
        "features.0.weight": np.ones((1, 1, 1, 1)),
        "features.1.weight": np.ones(1),
        "features.1.bias": np.zeros(1),
        "features.1.running_mean": np.zeros(1),
        "features.1.running_var": np.ones(1),
        "head.1.weight": np.full((2, 64), 1 / 64),
        "head.1.bias": np.zeros(2),
        "head.3.weight": np.zeros((2, 2)),
        "head.3.bias": np.array(point),
        **changes,
    }
    return {name: value.astype(np.float32) for name, value in weights.items()}


def answer(weights, image=None):
    model = build_model(weights, [16]).SerializeToString()
    check_model(model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    image = np.zeros((1, 1, 128, 128), np.float32) if image is None else image
    angle, confidence = session.run(["angle", "confidence"], {"image": image})
    return float(angle[0, 0]), float(confidence[0, 0])


@pytest.mark.parametrize("length", [0.3, 1.0])
@pytest.mark.parametrize("place", range(24))
def test_a_point_on_a_circle_becomes_its_angle(place, length):
    sine, cosine = POINTS[place]

    angle, confidence = answer(weights_for((sine * length, cosine * length)))

    assert abs((angle - 15 * place + 180) % 360 - 180) < 1e-3
    assert 0 <= angle < 360
    assert confidence == pytest.approx(length, abs=1e-6)


def test_a_hair_left_of_up_is_not_a_full_turn():
    angle, _ = answer(weights_for((-1e-9, 1.0)))

    assert angle == 0


def test_no_direction_is_up_without_confidence():
    assert answer(weights_for((0.0, 0.0))) == (0, 0)


def test_confidence_is_never_above_one():
    assert answer(weights_for((3.0, 0.0))) == (90, 1)


def test_the_normalization_of_the_convolution_is_folded_into_it():
    kernel, mean, variance, weight, bias, x = 0.7, 0.2, 0.3, 1.3, 0.1, 0.5
    weights = weights_for(
        **{
            "features.0.weight": np.full((1, 1, 1, 1), kernel),
            "features.1.weight": np.array([weight]),
            "features.1.bias": np.array([bias]),
            "features.1.running_mean": np.array([mean]),
            "features.1.running_var": np.array([variance]),
            "head.3.weight": np.array([[1.0, 0.0], [0.0, 0.0]]),
        }
    )

    angle, confidence = answer(weights, np.full((1, 1, 128, 128), x, np.float32))

    expected = (kernel * x - mean) / math.sqrt(variance + NORM_EPSILON) * weight + bias
    assert (angle, confidence) == (90, pytest.approx(expected, abs=1e-6))


def test_the_model_is_in_versions_that_debian_reads():
    model = build_model(weights_for(), [16])

    assert (model.ir_version, model.opset_import[0].version) == (IR_VERSION, OPSET)
    assert IR_VERSION <= 10
    assert OPSET <= 21


def test_the_same_weights_give_the_same_bytes():
    first, second = (build_model(weights_for(), [16]).SerializeToString(deterministic=True) for _ in range(2))

    assert first == second
