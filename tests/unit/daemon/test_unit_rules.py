"""Rules for units that can apply to nobody are said to be so; everything else is silence."""

import logging

import pytest

from edged import journal
from edged.config.schema import CallerRule, LimitsConfig
from edged.daemon.unit_rules import report_hidden_units
from tests.fakes.peers import needs_peer_pidfds, say_unit

RULES = LimitsConfig(
    callers=(CallerRule(unit="kiosk.service"), CallerRule(user="www-data"), CallerRule(unit="camera.service"))
)


@pytest.fixture
def hidden(tmp_path):
    """A /proc that shows no other user's process."""
    return tmp_path


def test_rules_for_hidden_units_are_reported_once_with_their_names(hidden, caplog):
    report_hidden_units(RULES, proc=hidden)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.edged_message_id == journal.UNITS_HIDDEN.message_id
    assert record.edged_fields == {"units": "kiosk.service camera.service"}


@needs_peer_pidfds
def test_rules_for_units_that_can_be_seen_are_not(hidden, caplog):
    report_hidden_units(RULES, proc=say_unit(hidden, 1, "init.scope"))

    assert caplog.records == []


def test_rules_for_users_need_no_units(hidden, caplog):
    report_hidden_units(LimitsConfig(callers=(CallerRule(user="www-data"),)), proc=hidden)

    assert caplog.records == []
