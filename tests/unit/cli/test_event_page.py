"""Events as lines for people."""

import json
import time

import pytest

from edged.api.documents.context import describe_context
from edged.cli.event_page import line
from edged.cli.event_stream import StreamEvent
from edged.codec import encode_readable
from edged.policy.given import situation_of

NOW_S = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC0")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(type_, data):
    text = data if isinstance(data, str) else json.dumps(data)
    return line(StreamEvent(type=type_, id="a1-1", data=text), now_s=NOW_S)


def test_a_context_is_said_in_words():
    context = situation_of({"thermal": "serious", "power": "battery:14.6", "link": "unknown"}).context

    text = shown("context", encode_readable(describe_context(context)).decode())

    assert text.startswith("00:00:00  context   thermal=serious power=battery battery_percent=14.6 throttled=false")
    assert "link=unknown" in text


def test_a_slot_that_moved_is_said_with_its_cause():
    entry = {"at": NOW_S + 1, "what": "slot-moved", "model": "gauge", "version": "1.1.0", "slot": "b", "cause": "boot"}

    assert shown("slot", entry) == "08:00:01  slot      slot moved gauge 1.1.0 b by boot"
    assert shown("history", entry | {"what": "refused", "reason": "too slow"}).endswith("by boot (too slow)")


def test_a_decision_is_said_with_its_rule():
    decision = {"model": "gauge", "request": "interactive", "consent": False, "action": "run", "rule": "hot"}
    decision |= {"origin": "packaged", "variant": "gauge-1.0.0-int8-any", "scale": 0.5, "reasons": [], "rejected": []}
    later = decision | {
        "action": "defer",
        "variant": None,
        "scale": 1.0,
        "retry_after_s": 60.0,
        "request": "background",
    }

    assert (
        shown("decision", {"at": NOW_S, "decision": decision})
        == "08:00:00  decision  gauge interactive: run by hot (packaged), variant gauge-1.0.0-int8-any, scale 0.5"
    )
    assert shown("decision", {"at": NOW_S, "decision": later}).endswith(
        "gauge background: defer by hot (packaged), again in 1 min"
    )
    assert "gauge interactive with consent: run" in shown(
        "decision", {"at": NOW_S, "decision": decision | {"consent": True}}
    )


def test_an_update_is_said_with_its_phase_and_what_went_wrong():
    status = {"phase": "waiting", "repository": "x", "changed_at": NOW_S}
    error = {"code": "fetch-failed", "message": "no route", "failures": 1}

    assert shown("update", status | {"error": error}) == "08:00:00  update    waiting: no route"


@pytest.mark.parametrize("type_", ["missed", "dropped", "stopping"])
def test_what_is_said_of_the_stream_itself_is_a_sentence(type_):
    assert len(shown(type_, {}).split()) > 4


def test_what_is_not_known_here_is_shown_as_it_came():
    assert shown("slot", {"new": 1}) == '08:00:00  slot      {"new": 1}'
    assert shown("later", "{\x1b}") == "08:00:00  later     {\\x1b}"
