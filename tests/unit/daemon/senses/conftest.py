"""What several tests of the senses need."""

import pytest

from tests.fakes.uevents import send_uevent


@pytest.fixture
def uevent():
    """Return a function that has the kernel send a message about a device."""
    return send_uevent
