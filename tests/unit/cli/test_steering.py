"""Which socket administrators are sent to."""

import pytest

from edged.cli.steering import administrators_socket


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        ("/run/edged/edged.sock", "/run/edged/admin.sock"),
        ("/tmp/device/run/edged.sock", "/tmp/device/run/admin.sock"),
        ("edged.sock", "admin.sock"),
        ("/run/edged/admin.sock", "/run/edged/admin.sock"),
        ("/somewhere/else", "/somewhere/else"),
    ],
)
def test_beside_the_apps_socket_is_that_of_administrators(told, asked):
    assert administrators_socket(told) == asked
