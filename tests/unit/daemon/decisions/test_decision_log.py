"""What is decided otherwise is written down; what is only said in other words is not."""

from dataclasses import replace

import pytest

from edged.api.documents.decisions import line_of
from edged.daemon.decisions.decider import MAX_KINDS
from edged.daemon.decisions.decision_log import MAX_CHANGES, DecisionLog
from edged.daemon.pace import EVENTS_MOST, EVENTS_PER_S, JOURNAL_MOST, JOURNAL_PER_S
from edged.policy.ask import Ask
from edged.runtime.calls import RequestClass
from edged.select.decision import Action, Decision
from tests.fakes.clocks import Later

ASK = Ask(model="reader")
BEST = Decision(action=Action.RUN, rule="run-best", origin="built-in", rank=3, variants=("fp32-any",))
HOT = Decision(
    action=Action.RUN, rule="hot", origin="local", rank=0, variants=("int8-any",), scale=0.5, reasons=("hot",)
)


class Notes:
    """A log, and what it tells others."""

    def __init__(self) -> None:
        self.published = []
        self.later = Later()
        self.log = DecisionLog(
            self.later.clock,
            precision=lambda _model, id_: id_.partition("-")[0],
            publish=self.published.append,
            later=self.later,
        )

    def flap(self, times: int, *, every_s: float = 0.1, **of: object) -> None:
        before, now = replace(BEST, **of), replace(HOT, **of)
        for _ in range(times):
            self.log.note(ASK, before, now)
            before, now = now, before
            self.later.advance(every_s)


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


def test_the_journal_tells_requests_with_consent_from_those_without(notes, caplog):
    caplog.set_level("INFO")
    notes.log.note(ASK, None, HOT)
    notes.log.note(replace(ASK, has_consent=True), None, HOT)

    assert [fields["consent"] for fields in journaled(caplog)] == ["no", "yes"]


def test_a_device_that_only_ever_had_the_built_in_rule_journals_nothing(notes, caplog):
    caplog.set_level("INFO")
    notes.log.note(ASK, None, BEST)
    notes.log.note(ASK, BEST, replace(BEST, variants=("int8-any",)))

    assert len(notes.published) == 2
    assert journaled(caplog) == []


def test_what_no_variant_answers_is_journaled_without_one(notes, caplog):
    caplog.set_level("INFO")
    notes.log.note(ASK, None, replace(HOT, action=Action.DEFER, variants=()))

    assert [fields["variant"] for fields in journaled(caplog)] == ["none"]


def test_the_same_in_other_words_is_no_change(notes):
    notes.log.note(ASK, HOT, replace(HOT, reasons=("hotter",), rank=7))

    assert notes.log.recent == ()


def test_a_regulatory_mode_has_everything_journaled(notes, caplog):
    caplog.set_level("INFO")
    notes.log.note(ASK, None, replace(BEST, log=True))

    assert [fields["action"] for fields in journaled(caplog)] == ["run"]


def test_not_more_than_a_bounded_number_of_changes_is_remembered(notes):
    for i in range(MAX_CHANGES + 5):
        notes.log.note(Ask(model=f"m{i}"), None, HOT)

    assert len(notes.log.recent) == MAX_CHANGES
    assert notes.log.recent[-1].decision.model == f"m{MAX_CHANGES + 4}"


def test_what_flaps_is_published_a_few_times_and_then_as_it_is(notes):
    notes.flap(601)  # a minute of a loose plug
    notes.later.advance(EVENTS_PER_S)

    assert len(notes.published) <= EVENTS_MOST + 61 / EVENTS_PER_S + 1
    assert notes.published[-1].decision.rule == "hot"
    assert notes.published == list(notes.log.recent)


def test_what_flaps_back_to_what_was_told_is_not_told_again(notes):
    notes.flap(EVENTS_MOST)
    notes.flap(3)
    told = len(notes.published)
    notes.later.advance(EVENTS_PER_S)
    assert notes.published[-1].decision.rule == "hot"

    assert len(notes.published) == told


def test_what_flaps_is_counted_with_whom_it_concerns_and_what_becomes_of_it(notes, caplog):
    caplog.set_level("INFO")
    ask, deferred = replace(ASK, has_consent=True), replace(HOT, action=Action.DEFER, variants=())
    for _ in range(JOURNAL_MOST):
        notes.log.note(ask, deferred, BEST)
        notes.log.note(ask, BEST, deferred)
    notes.later.advance(JOURNAL_PER_S)

    told = journaled(caplog)[-1]
    assert (told["times"], str(told["seconds"]), told["consent"]) == (2 * JOURNAL_MOST, "60", "yes")
    assert (told["action"], told["variant"]) == ("defer", "none")


def test_nothing_is_remembered_of_more_kinds_than_are_decided_about(notes):
    for i in range(MAX_KINDS + 5):
        notes.log.note(Ask(model=f"m{i}"), None, HOT)

    assert len(notes.log._told) == MAX_KINDS


def test_the_journal_counts_what_flaps_once_a_minute_until_it_is_steady(notes, caplog):
    caplog.set_level("INFO")
    notes.flap(1201)
    notes.later.advance(JOURNAL_PER_S)
    told = journaled(caplog)
    notes.later.advance(10 * JOURNAL_PER_S)

    assert ["times" in fields for fields in told] == [False] * JOURNAL_MOST + [True] * (len(told) - JOURNAL_MOST)
    assert 2 <= len(told) - JOURNAL_MOST <= 3
    assert sum(fields.get("times", 0) for fields in told) in {1200, 1201}
    assert (told[-1]["rule"], told[-1]["variant"]) == ("hot", "int8-any")
    assert len(journaled(caplog)) == len(told), "there is nothing more to tell"


def test_one_kind_of_requests_that_flaps_hides_no_other(notes, caplog):
    caplog.set_level("INFO")
    notes.flap(100)
    notes.log.note(replace(ASK, request_class=RequestClass.BACKGROUND), None, HOT)

    assert notes.published[-1].decision.request == "background"
    assert journaled(caplog)[-1]["request"] == "background"


def test_what_flaps_stays_counted_however_many_other_kinds_there_are(notes):
    *others, last = [Ask(model=f"m{i}") for i in range(MAX_KINDS)]
    notes.flap(EVENTS_MOST + 1)
    for other in others:
        notes.log.note(other, None, HOT)
    notes.flap(1, every_s=0.0)
    notes.log.note(last, None, HOT)
    notes.flap(2, every_s=0.0)

    assert notes.published[-1].decision.model == last.model, "what flaps is kept back"
    notes.later.advance(EVENTS_PER_S)
    told = notes.published[-1].decision
    assert (told.model, told.rule) == ("reader", "run-best")


def test_a_regulatory_mode_has_also_that_journaled_which_flaps(notes, caplog):
    caplog.set_level("INFO")
    notes.flap(100, log=True)

    assert len(journaled(caplog)) == 100


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
