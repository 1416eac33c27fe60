"""What an override says of itself; how long one lasts is the matter of ``tests/property/test_override.py``."""

import pytest

from edged.policy.document import Then
from edged.policy.override import MAX_OVERRIDE_S, Override, carried_over, rule_of, then_text


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (Then(deny="under repair"), "deny: under repair"),
        (Then(defer_s=90), "defer for 90 s"),
        (Then(variants=("int8", "fp16")), "variant int8, fp16"),
        (Then(), "run"),
    ],
)
def test_what_is_asked_for_is_said_in_a_few_words(then, text):
    assert then_text(then) == text


def test_a_rule_says_whose_it_is_and_why_however_long_that_is():
    override = Override(
        model="echo",
        then=Then(deny="no"),
        by="operator alice",
        reason="x" * 500,
        began_unix_s=0.0,
        for_s=MAX_OVERRIDE_S,
        boot_id="first",
        until_boot_s=0.0,
    )

    assert rule_of(override).description.startswith("operator alice: xxx")
    assert len(rule_of(override).description) == 500
    assert rule_of(override).then == Then(deny="no")


def test_the_longest_is_a_week():
    assert MAX_OVERRIDE_S == 604800.0


def test_after_a_reboot_a_restart_of_the_daemon_costs_nothing():
    begun = Override(
        model="echo",
        then=Then(),
        by="operator alice",
        reason="ticket 7",
        began_unix_s=1000.0,
        for_s=600.0,
        boot_id="first",
        until_boot_s=700.0,
        used_s=90.0,
    )

    assert carried_over(begun, unix_s=1010.0, boot_id="first", boot_s=110.0) == begun
    rebooted = carried_over(begun, unix_s=1100.0, boot_id="second", boot_s=20.0)

    assert (rebooted.boot_id, rebooted.until_boot_s) == ("second", 520.0)
    assert carried_over(rebooted, unix_s=1160.0, boot_id="second", boot_s=80.0) == rebooted
