"""What is decided otherwise is written down; what is only said in other words is not."""

from dataclasses import replace

import pytest

from edged.api.documents.decisions import line_of
from edged.daemon.decisions.decision_log import MAX_CHANGES, DecisionLog
from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decision import Action, Decision
from tests.fakes.clocks import ManualClock

ASK = Ask(model="reader")
BEST = Decision(action=Action.RUN, rule="run-best", origin="built-in", rank=3, variants=("fp32-any",))
HOT = Decision(
    action=Action.RUN, rule="hot", origin="local", rank=0, variants=("int8-any",), scale=0.5, reasons=("hot",)
)


class Notes:
    """A log, and what it tells others."""

    def __init__(self) -> None:
        self.published = []
        self.log = DecisionLog(
            ManualClock(), precision=lambda _model, id_: id_.partition("-")[0], publish=self.published.append
        )


@pytest.fixture
def notes():
    return Notes()


def journaled(caplog) -> list[dict]:
    return [record.edged_fields for record in caplog.records]


def test_a_change_is_remembered_published_and_journaled(notes, caplog):
    caplog.set_level("INFO")
    notes.log.note(ASK, None, BEST)
    notes.log.note(ASK, BEST, HOT)
    notes.log.note(ASK, HOT, BEST)

    assert [change.decision.rule for change in notes.log.recent] == ["run-best", "hot", "run-best"]
    assert notes.published == list(notes.log.recent)
    assert [(fields["rule"], fields["variant"]) for fields in journaled(caplog)] == [
        ("hot", "int8-any"),
        ("run-best", "fp32-any"),
    ]


def test_the_same_in_other_words_is_no_change(notes):
    notes.log.note(ASK, HOT, replace(HOT, reasons=("hotter",), rank=7))

    assert notes.log.recent == ()


def test_a_regulatory_mode_has_everything_journaled(notes, caplog):
    caplog.set_level("INFO")
    notes.log.note(ASK, None, replace(BEST, log=True))

    assert [fields["action"] for fields in journaled(caplog)] == ["run"]


def test_not_more_than_a_bounded_number_of_changes_is_remembered(notes):
    for i in range(MAX_CHANGES + 5):
        notes.log.note(ASK, None, replace(HOT, rule=f"r{i}"))

    assert len(notes.log.recent) == MAX_CHANGES
    assert notes.log.recent[-1].decision.rule == f"r{MAX_CHANGES + 4}"


def test_a_line_says_the_same_on_every_device(notes):
    kinds = [
        (ASK, BEST),
        (ASK, HOT),
        (
            replace(ASK, request_class=RequestClass.BACKGROUND),
            replace(HOT, action=Action.DEFER, variants=(), scale=1.0),
        ),
        (replace(ASK, has_consent=True), replace(HOT, action=Action.OFFLOAD, scale=1.0)),
    ]

    assert [line_of(status) for status in notes.log.describe(kinds)] == [
        "reader interactive: run fp32, by run-best",
        "reader interactive: run int8, scale 0.5, by hot",
        "reader background: defer, by hot",
        "reader interactive with consent: offload int8, by hot",
    ]
