import pytest

from edged.select.versions import is_in_range


@pytest.mark.parametrize(
    ("version", "wanted", "is_in"),
    [
        ("1.21", ">=1.20", True),
        ("1.20", ">=1.20", True),
        ("1.19.2", ">=1.20", False),
        ("1.9", ">=1.20", False),
        ("1.21", ">=1.20,<2", True),
        ("2.0.0", ">=1.20,<2", False),
        ("1.21.1", ">=1.20,<1.21", False),
        ("1.21.1", ">=1.20,<1.21.2", True),
        ("1.32.0rc1", ">=1.32.0", True),
        ("1.21.0+dfsg", ">=1.21.0,<1.21.1", True),
    ],
)
def test_versions_are_compared_by_their_release_numbers(version, wanted, is_in):
    assert is_in_range(version, wanted) is is_in
