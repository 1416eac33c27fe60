"""Who this device is, and whether a stop is expected on it."""

import pytest

from edged.codec import encode_canonical
from edged.config.schema import Config, DeviceConfig
from edged.errors import StoreError
from edged.ops.flags import STOP_SENSITIVE
from edged.ops.segments import Device
from edged.select.machine import read_machine
from edged.store.disk import install_document
from edged.store.layout import StoreLayout
from edged.update.refresh import device
from edged.update.refresh.device import is_stop_sensitive, this_device

CANARY = Device(id="one", arch="arm64", labels={"ring": "canary"})


@pytest.fixture
def layout(tmp_path):
    return StoreLayout(tmp_path / "store")


def set_flag(layout, flag, *, name=STOP_SENSITIVE):
    flags = {"schema": 1, "issued": "2026-01-01T00:00:00Z", "flags": {name: flag}}
    install_document(layout.flags, encode_canonical(flags))


def test_device_is_as_configured():
    it = this_device(Config(device=DeviceConfig(id="one", labels={"ring": "canary"})))

    assert it == Device(id="one", arch=read_machine().arch, labels={"ring": "canary"})


def test_device_without_an_id_of_its_own_still_gets_what_everybody_gets(monkeypatch, caplog):
    def read_device(**_):
        raise StoreError("this device has no ID of its own")

    monkeypatch.setattr(device, "read_device", read_device)

    assert this_device(Config()).id == ""
    assert "no ID" in caplog.text


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ({"default": True}, True),
        ({"default": False}, False),
        ({"rules": [{"value": True, "segments": [{"labels": {"ring": ["canary"]}}]}]}, True),
        ({"rules": [{"value": True, "segments": [{"labels": {"ring": ["stable"]}}]}]}, False),
        ({"default": "soon"}, False),
        ({"default": 1}, False),
    ],
)
def test_stop_is_expected_where_the_flag_is_on(layout, flag, expected):
    set_flag(layout, flag)

    assert is_stop_sensitive(layout, lambda: CANARY) is expected


def test_device_is_not_looked_at_without_such_a_flag(layout):
    def nobody():
        raise AssertionError

    assert not is_stop_sensitive(layout, nobody)
    set_flag(layout, {"default": True}, name="night")

    assert not is_stop_sensitive(layout, nobody)


def test_damaged_flags_expect_no_stop(layout):
    install_document(layout.flags, b"no flags")

    assert not is_stop_sensitive(layout, lambda: CANARY)
