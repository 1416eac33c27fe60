"""Connections whose policy asks for less: what the worker does before the model, and what its answers say of that."""

import msgspec
import numpy as np
import pytest

from edged.pipeline.pipeline import Pipeline
from edged.runtime.lending import Lease
from tests.fakes.lendings import ONE, Bench, X
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import spec_of

HEARING = {
    "inputs": [{"name": "sound", "dtype": "FP32", "shape": [-1]}],
    "pre": [
        {
            "op": "pad_to@1",
            "input": "sound",
            "output": "x",
            "axis": 0,
            "length": 8,
            "longer": "cut",
            "scaling": {"least": 0.25},
        }
    ],
    "outputs": [{"name": "y", "dtype": "FP32", "shape": [1]}],
}
SOUND = np.arange(10, dtype=np.float32)
SOUND_INDEX, OWN_INDEX = 0, 1


def scaled(scale: float) -> Lease:
    return Lease(deadline_s=PATIENCE_S, scale=scale)


@pytest.fixture
def hearing(tmp_path):
    """A model that tells how much of a sound it was given: 8 values, or less."""
    pipeline = msgspec.convert(HEARING, Pipeline)
    length = spec_of("y", "FP32", (1,))
    with Bench(
        tmp_path, lambda x: {"y": np.array([len(x)], np.float32)}, inputs=(X,), outputs=(length,), pipeline=pipeline
    ) as lending:
        yield lending


def heard(loan, sound=SOUND, **fields) -> tuple[float, int]:
    """Ask; returns how much the model was given, and what the answer says of the scale."""
    loan.send(sound, **fields)
    answer = loan.receive()
    return loan.read(answer).item(), answer.scale_permille


@pytest.mark.parametrize(("scale", "told"), [(1.0, (8, 1000)), (0.5, (4, 500)), (0.25, (2, 250)), (0.01, (2, 250))])
def test_an_answer_says_the_scale_at_which_the_model_was_given_it(hearing, scale, told):
    assert heard(hearing.lend(lease=scaled(scale), wants_scales=True)) == told


def test_the_same_request_is_told_the_scale_of_its_moment(hearing):
    """Answers that differ in nothing else are written anew for each scale, and only renumbered in between."""
    loan = hearing.lend(lease=scaled(1.0), wants_scales=True)
    told = [heard(loan)]
    for scale in (0.5, 1.0):
        hearing.amend(loan, scaled(scale))
        hearing.settle()
        told += [heard(loan), heard(loan)]

    assert told == [(8, 1000), (4, 500), (4, 500), (8, 1000), (8, 1000)]


def test_a_client_that_takes_no_scales_is_told_none(hearing):
    """It may be one that takes nothing but 0 there."""
    assert heard(hearing.lend(lease=scaled(0.5))) == (4, 0)


def test_what_an_app_prepared_itself_has_no_scale(hearing):
    loan = hearing.lend(lease=scaled(0.5), wants_scales=True)

    assert heard(loan, inputs=(loan.place(ONE, index=OWN_INDEX),)) == (3, 0)
    assert heard(loan, inputs=(loan.place(SOUND, index=SOUND_INDEX),)) == (4, 500)


def test_a_model_that_is_given_what_apps_send_has_no_scale(lending):
    loan = lending.lend(lease=scaled(0.5), wants_scales=True)
    loan.send(ONE)

    assert loan.receive().scale_permille == 0
