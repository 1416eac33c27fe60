"""What happens to models is kept in the device's history, told in the journal, and explained in the catalog: all three, for everything.

What the updater does to its store is in the journal alone: the history is the daemon's.
"""

import ast
import re
from pathlib import Path

import pytest

import edged
from edged import journal
from edged.store.history import Happening

ROOT = Path(edged.__file__).parent
CATALOG = ROOT.parent / "systemd" / "edged.catalog"
EVENT_OF = {
    Happening.SLOT_MOVED: "SLOT_MOVED",
    Happening.REFUSED: "MODEL_REFUSED",
    Happening.REFUSAL_LIFTED: "REFUSAL_LIFTED",
    Happening.STOPPED: "MODEL_STOPPED",
    Happening.STOP_LIFTED: "MODEL_STOP_LIFTED",
    Happening.LEASE_EXPIRED: "LEASE_EXPIRED",
    Happening.LEASE_RENEWED: "LEASE_RENEWED",
    Happening.FELL_BACK: "MODEL_FELL_BACK",
    Happening.ANSWERS_AGAIN: "MODEL_ANSWERS_AGAIN",
    Happening.FLAG_CHANGED: "FLAG_CHANGED",
    Happening.DOCUMENT_TAKEN: "DOCUMENT_TAKEN",
    Happening.DOCUMENT_REFUSED: "DOCUMENT_REFUSED",
    Happening.WINDOW_OPENED: "WINDOW_OPENED",
    Happening.ROLLED_BACK: "MODEL_ROLLED_BACK",
    Happening.SHADOW_BEGAN: "SHADOW_BEGAN",
    Happening.SHADOW_PASSED: "SHADOW_PASSED",
    Happening.SHADOW_FAILED: "SHADOW_FAILED",
    Happening.SHADOW_SKIPPED: "SHADOW_SKIPPED",
    Happening.POLICY_OVERRIDDEN: "POLICY_OVERRIDDEN",
    Happening.POLICY_OVERRIDE_ENDED: "POLICY_OVERRIDE_ENDED",
}
PLACEHOLDER = re.compile(r"@EDGED_([A-Z_]+)@")
ADVICE = re.compile(r"No\s+action\s+is\s+needed|\b(Look|Tell|Report|look|list|write|has to)\b")


def sources():
    return {path: path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def explanation(name):
    """Return the catalog's entry of an event."""
    identity = getattr(journal, name).message_id
    (entry,) = re.findall(rf"(?ms)^-- {identity}\n(.*?)(?=^-- |\Z)", CATALOG.read_text(encoding="utf-8"))
    return entry


def told():
    """Return each call of ``journal.event`` that names its event: where, which, and with which fields. Some choose from a table instead."""
    for path, source in sources().items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "journal.event":
                name = ast.unparse(node.args[1]).removeprefix("journal.")
                fields = {keyword.arg for keyword in node.keywords}
                if name.isupper() and None not in fields:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", name, {field.upper() for field in fields}


def test_every_happening_has_an_event_of_its_own():
    assert set(EVENT_OF) == set(Happening)
    assert len(set(EVENT_OF.values())) == len(Happening)
    assert {getattr(journal, name) for name in EVENT_OF.values()} <= set(journal.EVENTS)


@pytest.mark.parametrize("happening", Happening)
def test_what_is_kept_is_told_in_the_same_place(happening):
    """One module knows both names, so that neither is forgotten."""
    kept, event = rf"\bHappening\.{happening.name}\b", rf"\bjournal\.{EVENT_OF[happening]}\b"

    assert [path for path, source in sources().items() if re.search(kept, source) and re.search(event, source)]


@pytest.mark.parametrize("name", sorted(EVENT_OF.values()))
def test_what_happened_is_explained_with_its_model_its_cause_and_what_to_do(name):
    """Who or what caused it, or why it came: an operator needs at least one of them, and to know whether there is anything to do."""
    entry = explanation(name)

    assert set(PLACEHOLDER.findall(entry)) & {"CAUSE", "REASON", "DOCUMENT"}
    assert ADVICE.search(entry), entry


@pytest.mark.parametrize(
    ("where", "name", "fields"), list(told()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_explanation_uses_only_fields_that_the_event_has(where, name, fields):
    """The journal would show a gap in the sentence."""
    assert set(PLACEHOLDER.findall(explanation(name))) <= fields
