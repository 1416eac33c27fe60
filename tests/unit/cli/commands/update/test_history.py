"""A history as a table, in local time."""

import time

import pytest

from edged.cli.commands.update.history import render
from edged.store.history import Entry, Happening, History


@pytest.fixture
def zone(monkeypatch):
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_each_line_has_when_what_which_who_and_why(zone):
    entries = (
        Entry(
            id=2,
            at=1_792_893_600.0,
            what=Happening.ROLLED_BACK,
            model="gauge",
            version="1.1.0",
            cause="operator alice (uid 1000)",
            reason="wrong\nat night",
        ),
        Entry(
            id=1,
            at=1_792_890_000.0,
            what=Happening.SLOT_MOVED,
            model="gauge",
            version="1.1.0",
            slot="b",
            cause="trial",
            reason="health-failed: 2 workers: gone",
        ),
        Entry(id=0, at=1_792_886_400.0, what=Happening.DOCUMENT_TAKEN, cause="stop 3f9c0d2e"),
    )

    assert render(History(entries=entries)) == (
        "WHEN                       WHAT                  MODEL        BY                         WHY\n"
        "2026-10-25 03:00:00 +0100  rolled back           gauge 1.1.0  operator alice (uid 1000)  wrong\\nat night\n"
        "2026-10-25 02:00:00 +0100  slot b health failed  gauge 1.1.0  trial                      2 workers: gone\n"
        "2026-10-25 02:00:00 +0200  document taken        -            stop 3f9c0d2e\n"
    )


def test_an_empty_history_is_a_sentence():
    assert render(History(entries=())) == "Nothing has happened yet.\n"
    assert render(History(entries=()), model="nosuch") == "Nothing has happened to a model nosuch here.\n"
