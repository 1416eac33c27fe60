"""What bytes claim to be, before they are verified."""

import pytest

from edged.update.freshness.timestamp import claimed_version


def test_version_of_a_timestamp_is_read():
    data = b'{"signatures": [], "signed": {"_type": "timestamp", "spec_version": "1.0.34", "version": 12}}'

    assert claimed_version(data) == 12


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>Welcome</html>",
        b"{}",
        b'{"signed": {"_type": "snapshot", "version": 3}}',
        b'{"signed": {"_type": "timestamp", "version": "3"}}',
        b'{"signed": {"_type": "timestamp"}}',
        b'{"signed": {"_type": "timestamp", "version": 12',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_timestamp_has_no_version(data):
    assert claimed_version(data) == 0
