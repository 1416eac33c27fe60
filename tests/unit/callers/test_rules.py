"""Rules: a unit's before a user's, before everybody's."""

from edged.callers.caller import Caller
from edged.callers.rules import Rules
from edged.config.schema import CallerLimits, CallerRule, LimitsConfig


def limited(number):
    """Return limits that can be told apart."""
    return CallerLimits(max_concurrent=number)


RULES = Rules(
    LimitsConfig(
        default=limited(1),
        callers=(
            CallerRule(user="kiosk", limits=limited(2)),
            CallerRule(user="1007", limits=limited(3)),
            CallerRule(unit="kiosk.service", limits=limited(4)),
        ),
    )
)


def caller(uid=1000, user="kiosk", unit=None):
    return Caller(uid=uid, user=user, read_unit=lambda: unit)


def found(who):
    """Return the key and the number of the limits found."""
    return RULES.key_of(who), RULES.terms_of(who).limits.max_concurrent


def test_everybody_without_a_rule_has_the_default_as_a_user_of_its_own():
    assert found(caller(uid=5, user="games")) == (5, 1)
    assert found(caller(uid=6, user="man", unit="other.service")) == (6, 1)


def test_user_is_known_by_name_and_by_number():
    assert found(caller()) == (1000, 2)
    assert found(caller(uid=1007, user="1007")) == (1007, 3)
    assert found(caller(uid=1007, user="camera")) == (1007, 3)


def test_unit_goes_before_its_user():
    assert found(caller(unit="kiosk.service")) == ("kiosk.service", 4)


def test_unit_is_not_read_where_no_rule_names_one():
    def never():
        raise AssertionError("the unit was read")

    rules = Rules(LimitsConfig(callers=(CallerRule(user="kiosk"),)))

    assert rules.key_of(Caller(uid=1000, user="kiosk", read_unit=never)) == 1000


def test_terms_say_whose_they_are_and_where_they_are_set():
    assert RULES.terms_of(caller(unit="kiosk.service")).subject == "Unit kiosk.service"
    assert RULES.terms_of(caller(unit="kiosk.service")).place == " of the rule for unit kiosk.service"
    assert RULES.terms_of(caller(uid=1007, user="camera")).subject == "User camera"
    assert RULES.terms_of(caller(uid=1007, user="camera")).place == " of the rule for user 1007"
    assert "limits.default" in RULES.terms_of(caller(uid=5, user="games")).place
