"""Which time is believed, and what told it."""

import os

import pytest

from edged.store.disk import install_document
from edged.store.layout import StoreLayout
from edged.update.freshness.now import Now, Reading
from tests.fakes.clocks import ManualClock

BUILT_S = 1_700_000_000.0
SIGNED, SIGNED_S = "2026-01-01T00:00:00Z", 1_767_225_600.0


@pytest.fixture
def layout(tmp_path):
    return StoreLayout(tmp_path / "store")


@pytest.fixture
def read(tmp_path, layout):
    package = tmp_path / "package.py"
    package.write_text("")
    os.utime(package, (BUILT_S, BUILT_S))

    def at(unix_s):
        return Now(clock=ManualClock(unix_s=unix_s), package=package, layout=layout).read()

    return at


def sign(path, issued=SIGNED):
    # Of a schema that this edged does not know: the signature, not the rest, vouches for the time.
    install_document(path, f'{{"schema": 9, "issued": "{issued}", "more": []}}'.encode())


def test_clock_that_is_right_is_believed(read, layout):
    sign(layout.rollout)

    assert read(SIGNED_S + 5.0) == Reading(unix_s=SIGNED_S + 5.0, source="system")


def test_clock_of_a_device_without_one_is_not_before_the_package(read):
    assert read(0.0) == Reading(unix_s=BUILT_S, source="package")


@pytest.mark.parametrize("name", ["rollout", "flags", "policy", "stop"])
def test_newest_signed_document_tells_the_time_when_the_clock_is_behind(read, layout, name):
    for other in ("rollout", "flags", "policy", "stop"):
        sign(getattr(layout, other), issued="2025-01-01T00:00:00Z")
    sign(getattr(layout, name))

    assert read(0.0) == Reading(unix_s=SIGNED_S, source="signed")


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"issued": 7}', b'{"issued": "2026-02-31T00:00:00Z"}']
)
def test_damaged_document_vouches_for_no_time(read, layout, damage):
    install_document(layout.stop, damage)
    sign(layout.rollout)

    assert read(0.0) == Reading(unix_s=SIGNED_S, source="signed")
