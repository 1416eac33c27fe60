"""What a worker is sent of a request, when it is known what the steps before the model make of its inputs."""

from dataclasses import replace

import pytest

from edged.runtime.calls import Features
from tests.fakes.requests import FEATURES, features_of, request_of
from tests.fakes.workers import spec_of

ROWS = spec_of("x", "UINT8", (-1, 1))
REQUEST = request_of(b"7")
MADE = features_of(*REQUEST.inputs)
KNOWN = Features(digest="d", takes=(FEATURES,), gives=(ROWS,), scale=1.0, most_bytes=1 << 30, tensors=MADE)


def test_known_features_are_sent_in_place_of_the_inputs():
    assert REQUEST.sent == REQUEST.inputs
    assert replace(REQUEST, features=KNOWN).sent == MADE
    assert replace(REQUEST, features=replace(KNOWN, tensors=None)).sent == REQUEST.inputs, "they are only wanted"


def test_features_stay_with_a_request_for_a_variant_that_they_fit():
    request = replace(REQUEST, features=KNOWN)

    assert request.fitting("d", (FEATURES,), (ROWS,)) is request
    assert REQUEST.fitting("d", (FEATURES,), (ROWS,)) is REQUEST


@pytest.mark.parametrize(
    "other",
    [{"digest": "e"}, {"takes": (FEATURES, FEATURES)}, {"gives": ()}, {"scale": 0.5}],
    ids=["another bundle", "other inputs", "other outputs", "another scale"],
)
@pytest.mark.parametrize("tensors", [MADE, None], ids=["known", "wanted"])
def test_features_of_something_else_are_dropped(other, tensors):
    request = replace(REQUEST, features=replace(KNOWN, tensors=tensors, **other))

    assert request.fitting("d", (FEATURES,), (ROWS,)) == REQUEST
