"""Whatever a step is given, it answers or says what it does not take: anything else would end the worker, and the next, and the next."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edged.errors import BundleError, EdgedError, TensorError
from edged.worker.arrays import NUMPY
from tests.golden.pipeline import renew
from tests.golden.pipeline.vectors import inputs_of, load
from tests.unit.pipeline.test_golden import OPS

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
elements = st.binary(max_size=12) | st.text(max_size=6).map(str.encode)


@st.composite
def texts(draw, shape):
    array = np.empty(shape, dtype=object)
    array.ravel()[:] = draw(st.lists(elements, min_size=array.size, max_size=array.size))
    return array


def arrays(shape):
    """Any array of a shape that can come from an app or a model: NaN, infinities and numbers at the ends of their range included."""
    return st.sampled_from([*NUMPY.values()]).flatmap(lambda dtype: hnp.arrays(dtype, shape)) | texts(shape)


def like(array):
    """Arrays of the same datatype and of any or the same shape."""
    shape = st.just(array.shape) | shapes
    if array.dtype == object:
        return shape.flatmap(texts)
    return shape.flatmap(lambda chosen: hnp.arrays(array.dtype, chosen))


@cache
def compiled(op):
    """The golden cases of a step, ready to run: inputs it takes, from which others are made."""
    return [(renew.compiled(made), inputs_of(made), made.step.writes) for made in load(op).cases]


@pytest.mark.parametrize("op", OPS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_step_answers_or_refuses(op, data):
    stage, taken, writes = data.draw(st.sampled_from(compiled(op)))
    sent = {name: data.draw(st.just(array) | like(array) | shapes.flatmap(arrays)) for name, array in taken.items()}

    outcome = run(stage, sent)

    assert op in str(outcome) if isinstance(outcome, EdgedError) else outcome.keys() >= {*writes}


def run(stage, sent):
    """What the steps give, or how they refuse."""
    try:
        return stage.run(sent)
    except (TensorError, BundleError) as exc:
        return exc
