"""When metadata expires, on devices whose clock may be wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from edged.errors import MetadataExpiredError
from tests.fakes.trust_worlds import NOW


@pytest.mark.parametrize("year", [1970, 2000])
def test_clock_in_the_past_lets_nothing_expire(world, year):
    world.refresh(at=datetime(year, 1, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("at", "what"),
    [
        (NOW + timedelta(days=8), "timestamp"),
        (NOW + timedelta(days=366), "root"),
        (datetime(2261, 1, 1, tzinfo=UTC), "root"),
    ],
)
def test_clock_in_the_future_is_named_as_a_reason(world, at, what):
    with pytest.raises(MetadataExpiredError, match=what) as caught:
        world.refresh(at=at)

    assert "clock" in caught.value.hint


def test_earliest_expiry_of_all_that_was_looked_at_is_told(world):
    repository = world.refresh()

    assert repository.expires_unix_s == (NOW + timedelta(days=7)).timestamp()
