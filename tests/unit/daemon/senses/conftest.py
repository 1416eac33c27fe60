"""What several tests of the senses need."""

import pytest

from tests.fakes.uevents import only_listener, send_uevent


@pytest.fixture
def own_kernel():
    """For whoever listens to the kernel: nobody else has it speak meanwhile."""
    with only_listener():
        yield


@pytest.fixture
def uevent(own_kernel):
    """Return a function that has the kernel send a message about a device."""
    return send_uevent
