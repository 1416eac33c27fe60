"""Attributes of a device: read from their beginning through files that stay open, until the device behind them is gone."""

import errno
import os

import pytest

from edged.sense.attributes import MAX_ATTRIBUTE_BYTES, KeptDevice, KeptFile, read_text
from edged.sense.snapshot import SLEEPS
from tests.fakes.open_files import open_files


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "temp"
    path.write_text("41000\n")
    return path


@pytest.fixture
def kept(path):
    kept = KeptFile(str(path))
    yield kept
    kept.close()


@pytest.fixture
def failing(monkeypatch):
    """Has every read of a file that is open fail from now on."""

    def fail(number: int):
        def pread(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "pread", pread)

    return fail


@pytest.fixture
def device(tmp_path):
    """A device with three attributes of which one never changes; and what looks at it."""
    directory = tmp_path / "BAT0"
    directory.mkdir()
    for name, text in (("type", "Battery"), ("capacity", "80"), ("status", "Full"), ("runtime_status", "active")):
        (directory / name).write_text(f"{text}\n")
    device = KeptDevice(str(directory), fixed=("type", "serial"), live=("capacity", "status"), asleep="runtime_status")
    yield device
    device.close()


def test_each_read_is_of_what_it_is_now_through_the_file_that_was_opened_first(kept, path):
    before = open_files()
    assert kept.read() == "41000"
    path.write_text("9000\n")

    assert kept.read() == "9000"
    assert open_files() == before + 1


def test_text_is_what_is_left_of_it_without_what_surrounds_it(path):
    path.write_bytes(b" \xff ok \n\n")

    assert read_text(str(path)) == "\N{REPLACEMENT CHARACTER} ok"


def test_no_more_is_read_than_any_attribute_has(kept, path):
    path.write_text("x" * 5000)

    assert len(read_text(str(path))) == len(kept.read()) == MAX_ATTRIBUTE_BYTES


def test_a_file_of_another_size_is_read_as_far_as_was_said(path):
    kept = KeptFile(str(path), size_bytes=3)

    assert kept.read() == "410"
    kept.close()


def test_a_file_that_is_read_once_does_not_stay_open(path):
    before = open_files()
    read_text(str(path))

    assert open_files() == before


@pytest.mark.parametrize("number", [errno.ENODEV, errno.ENXIO, errno.ENOENT])
def test_a_file_whose_device_is_gone_is_opened_again(kept, path, failing, monkeypatch, number):
    kept.read()
    failing(number)
    with pytest.raises(OSError):
        kept.read()
    monkeypatch.undo()
    path.unlink()
    path.write_text("30000\n")

    assert kept.read() == "30000"


def test_a_file_that_cannot_be_read_for_now_stays_open(kept, path, failing, monkeypatch):
    """A sensor on a slow bus does not answer now and then."""
    kept.read()
    failing(errno.EAGAIN)
    with pytest.raises(OSError):
        kept.read()
    monkeypatch.undo()
    path.unlink()

    assert kept.read() == "41000"


def test_a_file_may_be_closed_twice_and_is_open_after_a_read(kept):
    before = open_files()
    kept.read()
    kept.close()
    kept.close()
    assert open_files() == before

    assert kept.read() == "41000"


def test_a_look_reads_what_changes_and_knows_what_does_not(device, tmp_path):
    (tmp_path / "BAT0/type").write_text("UPS\n")
    (tmp_path / "BAT0/capacity").write_text("79\n")
    found = device.look()

    assert found.name == "BAT0"
    assert (dict(found.texts), dict(found.errors)) == ({"type": "Battery", "capacity": "79", "status": "Full"}, {})
    assert not device.is_gone


def test_an_attribute_that_fails_says_why_and_keeps_no_other_from_being_read(device, tmp_path):
    (tmp_path / "BAT0/capacity").unlink()
    found = device.look()

    assert found.texts == {"type": "Battery", "status": "Full"}
    assert found.errors == {"capacity": os.strerror(errno.ENOENT)}
    assert device.is_gone


def test_a_device_that_does_not_answer_for_now_is_not_gone(device, failing):
    device.look()
    failing(errno.EIO)

    assert device.look().errors == dict.fromkeys(("capacity", "status"), os.strerror(errno.EIO))
    assert not device.is_gone


def test_a_device_that_was_gone_once_is_another_one_when_it_is_back(device, tmp_path):
    """What never changes was read of the one before."""
    (tmp_path / "BAT0/capacity").unlink()
    device.look()
    (tmp_path / "BAT0/capacity").write_text("15\n")
    device.look()

    assert device.is_gone


def test_a_device_that_sleeps_is_not_looked_at(device, tmp_path):
    (tmp_path / "BAT0/runtime_status").write_text("suspended\n")
    (tmp_path / "BAT0/capacity").unlink()
    asleep = device.look()
    assert (asleep.texts, asleep.errors) == ({"type": "Battery"}, {"capacity": SLEEPS, "status": SLEEPS})
    assert not device.is_gone


def test_a_device_that_cannot_be_put_to_sleep_is_looked_at(device, tmp_path):
    other = KeptDevice(str(tmp_path / "BAT0"), fixed=(), live=("status",), asleep="none")

    assert other.look().texts == {"status": "Full"}
    other.close()


def test_of_a_device_that_is_closed_nothing_stays_open(device):
    before = open_files()
    device.look()
    assert open_files() == before + 3
    device.close()

    assert open_files() == before
