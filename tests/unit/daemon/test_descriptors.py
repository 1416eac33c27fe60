"""The limit of open files follows from the settings, and only ever grows."""

import resource

import pytest

from edged.config.schema import ServeConfig
from edged.daemon import descriptors
from edged.daemon.descriptors import RESERVE, allow_descriptors, descriptors_wanted


class Limits:
    """The kernel's account of a process, in its place."""

    def __init__(self, soft, hard):
        self.now = (soft, hard)
        self.changes = 0

    def getrlimit(self, which):
        assert which == resource.RLIMIT_NOFILE
        return self.now

    def setrlimit(self, which, limits):
        assert which == resource.RLIMIT_NOFILE
        self.now = limits
        self.changes += 1


@pytest.fixture
def limits(monkeypatch):
    """Make the limits that this process seems to have."""

    def make(soft, hard):
        limits = Limits(soft, hard)
        for name in ("getrlimit", "setrlimit"):
            monkeypatch.setattr(descriptors.resource, name, getattr(limits, name))
        return limits

    return make


def test_connections_of_all_sockets_and_pieces_of_memory_count():
    """Two sockets of HTTP, tensor clients with their memory, and 64 MB in pieces of 64 KiB, which may take two each."""
    assert descriptors_wanted(ServeConfig(max_connections=10, max_body_bytes=16 << 20)) == RESERVE + 40 + 2048


def test_defaults_fit_into_what_systemd_allows():
    assert 1024 < descriptors_wanted(ServeConfig()) < 524_288


def test_soft_limit_is_raised_to_what_is_wanted_and_no_further(limits):
    found = limits(1024, 524_288)
    allow_descriptors(5000)

    assert found.now == (5000, 524_288)


@pytest.mark.parametrize("soft", [5000, 8192, resource.RLIM_INFINITY])
def test_limit_that_is_high_enough_stays(limits, soft):
    found = limits(soft, resource.RLIM_INFINITY)
    allow_descriptors(5000)

    assert found.changes == 0


def test_hard_limit_bounds_it_and_the_operator_is_told(limits, caplog):
    found = limits(1024, 4096)
    allow_descriptors(5000)

    assert found.now == (4096, 4096)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "LimitNOFILE=" in record.getMessage()


def test_process_without_a_hard_limit_gets_what_is_wanted(limits, caplog):
    found = limits(1024, resource.RLIM_INFINITY)
    allow_descriptors(5000)

    assert found.now == (5000, resource.RLIM_INFINITY)
    assert caplog.records == []
