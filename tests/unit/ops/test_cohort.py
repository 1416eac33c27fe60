"""Which devices are among the first: evenly, differently for each rollout, and for ever."""

import hashlib
import itertools

import pytest

from edged.ops.cohort import BUCKETS, bucket, is_among

DEVICES = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(2000)]


def test_bucket_is_the_hash_that_is_published():
    """``sha256(subject || device)`` modulo 10,000, read as a big-endian number: others may compute it, too."""
    digest = hashlib.sha256(b"rollout-7" + DEVICES[0].encode()).digest()

    assert bucket("rollout-7", DEVICES[0]) == int.from_bytes(digest, "big") % 10_000


def test_who_is_in_at_a_percentage_is_in_at_every_higher_one():
    steps = [
        {device for device in DEVICES if is_among("r", device, percent=percent)} for percent in (1, 10, 25, 50, 100)
    ]

    for fewer, more in itertools.pairwise(steps):
        assert fewer < more
    assert steps[-1] == set(DEVICES)


@pytest.mark.parametrize("percent", [1, 10, 25, 50])
def test_shares_are_within_four_standard_deviations(percent):
    share = percent / 100
    found = sum(is_among("r", device, percent=percent) for device in DEVICES)

    assert abs(found - len(DEVICES) * share) < 4 * (len(DEVICES) * share * (1 - share)) ** 0.5


def test_another_rollout_begins_with_other_devices():
    first, second = ({device for device in DEVICES if is_among(name, device, percent=10)} for name in ("a", "b"))

    assert len(first & second) < len(first) / 2


def test_percentages_have_steps_of_a_hundredth():
    inside = [device for device in DEVICES if bucket("r", device) < 50]

    assert {device for device in DEVICES if is_among("r", device, percent=0.5)} == set(inside)
    assert not any(is_among("r", device, percent=0) for device in DEVICES)
    assert all(0 <= bucket("r", device) < BUCKETS for device in DEVICES)


@pytest.mark.parametrize(("percent", "is_in"), [(0.0, False), (99.99, False), (100.0, True)])
def test_device_without_an_id_takes_part_only_in_what_is_for_all(percent, is_in):
    """All such devices would be in one bucket."""
    assert is_among("r", "", percent=percent) is is_in
