"""Version ranges, and what importing the library does to the process."""

import os

import pytest

from edged.runtime.backends import ort
from edged.runtime.backends.ort import is_in_range, load_library
from edged.runtime.onnx_safety import check_model


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


def test_the_library_starts_without_usage_reporting_and_without_a_word(capfd):
    """The wheels report usage unless told not to before they initialise; Debian's build prints hundreds of lines."""
    load_library.cache_clear()
    load_library()

    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    assert capfd.readouterr().err == ""


def test_the_model_the_library_is_warmed_up_with_is_a_safe_one():
    check_model(ort._SMALLEST_MODEL)
