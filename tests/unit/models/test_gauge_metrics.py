"""Errors go the short way round, and pictures without a needle have none."""

import numpy as np
import pytest

from models.gauge.metrics import errors_in_degrees, measure, summarize
from models.gauge.sets import make_set


@pytest.mark.parametrize(
    ("found", "truth", "error"), [(359, 1, 2), (1, 359, 2), (0, 180, 180), (90, 90, 0), (10, 350, 20), (370, 10, 0)]
)
def test_errors_go_the_short_way_round(found, truth, error):
    assert errors_in_degrees(np.array([found], np.float32), np.array([truth]))[0] == error


def test_pictures_without_needle_have_no_error():
    assert summarize(np.array([1.0, np.nan, 3.0])) == {"count": 2, "mean_deg": 2, "p95_deg": 2.9, "max_deg": 3}


def test_no_errors_are_counted_and_nothing_else():
    assert summarize(np.array([np.nan])) == {"count": 0}


def test_a_reader_that_knows_the_truth_is_perfect_and_one_that_is_off_is_found_out():
    dials = make_set(6, 60)
    confidences = np.where(np.isnan(dials.angles), 0.0, 1.0)

    perfect = measure(dials, np.nan_to_num(dials.angles), confidences)
    off = measure(dials, np.nan_to_num(dials.angles) + 10, confidences)

    assert (perfect["all"]["mean_deg"], perfect["sure"]["share_of_needles"]) == (0, 1)
    assert perfect["sure"]["share_of_pictures_without_needle"] == 0
    assert off["all"]["mean_deg"] == off["conditions"]["glare"]["mean_deg"] == 10
