"""What reaches the journal, byte for byte, and what people read elsewhere."""

import logging
import os
import re
import socket

import pytest

from edged import journal
from edged.journal import EVENTS, JournalHandler, LineFormatter
from tests.fakes.gates import short_directory

LOG = logging.getLogger("edged.tests.journal")


@pytest.fixture
def received():
    """Datagrams as journald would receive them from ``LOG``."""
    with short_directory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(directory / "journal"))
        server.settimeout(60)
        handler = JournalHandler("edged", str(directory / "journal"))
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        yield lambda: server.recv(65536)
        LOG.removeHandler(handler)
        handler.close()


def test_event_carries_its_identity_and_its_fields(received):
    journal.event(LOG, journal.MODEL_ACTIVATED, model="gauge", slot="b")

    fields = dict(line.split("=", 1) for line in received().decode().splitlines())

    assert fields["MESSAGE"] == "Model activated model=gauge slot=b"
    assert fields["MESSAGE_ID"] == journal.MODEL_ACTIVATED.message_id
    assert (fields["EDGED_MODEL"], fields["EDGED_SLOT"]) == ("gauge", "b")
    assert fields["PRIORITY"] == "6"
    assert fields["SYSLOG_IDENTIFIER"] == "edged"


def test_value_with_a_line_break_is_sent_with_its_length(received):
    """Journal native protocol: name, newline, 64-bit little-endian length, data, newline. Nothing can forge a field."""
    journal.event(LOG, journal.UPDATE_FAILED, reason="first\nPRIORITY=0")

    data = received()

    assert b"EDGED_REASON\n" + (16).to_bytes(8, "little") + b"first\nPRIORITY=0\n" in data
    assert b"\nPRIORITY=4\n" in data


def test_the_name_of_a_file_that_is_no_utf_8_is_sent_as_an_escape(received, monkeypatch):
    # What pytest keeps of a log goes to another process, which takes nothing else than UTF-8.
    monkeypatch.setattr(LOG, "propagate", False)
    LOG.error("cannot read %s", os.fsdecode(b"caf\xe9.toml"))

    assert rb"MESSAGE=cannot read caf\udce9.toml" in received().splitlines()


def test_journal_that_is_away_loses_the_record_and_not_the_caller(tmp_path, capsys):
    handler = JournalHandler("edged", str(tmp_path / "nobody"))
    try:
        handler.emit(logging.makeLogRecord({"msg": "lost"}))
    finally:
        handler.close()
    assert "FileNotFoundError" in capsys.readouterr().err


def test_line_for_people_has_the_fields_behind_the_text():
    record = logging.makeLogRecord(
        {"msg": "Model activated", "levelname": "INFO", "edged_fields": {"model": "gauge", "slot": "b"}}
    )

    line = LineFormatter("edged").format(record)

    assert re.fullmatch(r"\d\d:\d\d:\d\d edged INFO Model activated model=gauge slot=b", line)


def test_every_event_has_an_identity_of_its_own():
    identities = [event.message_id for event in EVENTS]

    assert len(set(identities)) == len(identities)
    assert all(re.fullmatch(r"[0-9a-f]{32}", identity) for identity in identities)
    declared = [value for value in vars(journal).values() if isinstance(value, journal.Event)]
    assert set(declared) == set(EVENTS)
