"""A device's disk, and the versions of its model."""

import pytest

from tests.fakes.small_devices import SmallDisk, build_bundles


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    return build_bundles(tmp_path_factory.mktemp("bundles"), "1.0.0", "1.1.0", "1.2.0", "1.5.0", "1.6.0", "2.0.0")


@pytest.fixture
def disk(tmp_path, bundles, monkeypatch):
    disk = SmallDisk(tmp_path, bundles)
    disk.patch(monkeypatch)
    return disk
