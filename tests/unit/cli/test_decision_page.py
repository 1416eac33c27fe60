from edged.api.documents.background import BackgroundStatus
from edged.api.documents.decisions import DecisionStatus
from edged.cli.decision_page import background_rows, decision_rows


def status(**fields) -> DecisionStatus:
    given = {
        "model": "reader",
        "request": "interactive",
        "consent": False,
        "action": "run",
        "rule": "hot",
        "origin": "local",
        "variant": "reader-int8",
        "reasons": ("rule hot (local) applies: thermal is serious",),
    }
    return DecisionStatus(**given | fields)


def test_what_a_rule_decided_is_shown_with_its_reasons():
    assert list(decision_rows(status(scale=0.5))) == [
        ("Decision", "run reader-int8, scale 0.5: rule hot (local) applies: thermal is serious")
    ]
    assert list(decision_rows(status(action="defer", variant=None, retry_after_s=60.0))) == [
        ("Decision", "defer, again after 60 s: rule hot (local) applies: thermal is serious")
    ]


def test_nothing_is_shown_where_no_policy_decides():
    assert list(decision_rows(status(origin="built-in"))) == []
    assert list(decision_rows(None)) == []


def test_a_variant_that_stays_for_its_dwell_time_is_shown_with_that_reason():
    reasons = ("rule run-best (built-in) applies: it has no conditions", "reader-int8 stays for the dwell time of 30 s")

    assert list(decision_rows(status(rule="run-best", origin="built-in", reasons=reasons))) == [
        ("Decision", f"run reader-int8: {'; '.join(reasons)}")
    ]


def background(kept: int, under_way: int) -> BackgroundStatus:
    return BackgroundStatus(kept=kept, under_way=under_way, size_bytes=9, longest_s=90.0, ended={"finished": 7})


def test_background_work_is_shown_while_there_is_some():
    assert list(background_rows(background(3, 1))) == [
        ("Background", "3 kept, the longest for 1 min 30 s so far, 1 under way")
    ]
    assert list(background_rows(background(0, 2))) == [("Background", "2 under way")]
    assert list(background_rows(background(0, 0))) == []
    assert list(background_rows(None)) == []
