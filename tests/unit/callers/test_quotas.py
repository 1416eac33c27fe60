"""Quotas: what each caller holds, what is refused and how, and what a reload does to both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule

from edged.callers import quotas
from edged.callers.caller import Caller
from edged.callers.quotas import Quotas
from edged.config.schema import CallerLimits, CallerRule, LimitsConfig
from edged.errors import BodyTooLargeError, QuotaError
from tests.fakes.clocks import ManualClock


class Setting:
    """Quotas with a clock and limits that a test changes."""

    def __init__(self, *, callers=(), **default):
        self.clock = ManualClock()
        self.config = LimitsConfig(default=CallerLimits(**default), callers=callers)
        self.quotas = Quotas(lambda: self.config, self.clock)

    def admit(self, uid=1000, size_bytes=1, unit=None):
        return self.quotas.admit(Caller(uid=uid, user=f"user{uid}", read_unit=lambda: unit), size_bytes)

    def reload(self, *, callers=(), **default):
        self.config = LimitsConfig(default=CallerLimits(**default), callers=callers)

    def admitted(self, attempts, **kwargs):
        """Ask so often; return how often it was granted."""
        count = 0
        for _ in range(attempts):
            try:
                self.admit(**kwargs)
            except QuotaError:
                continue
            count += 1
        return count


def test_concurrency_is_each_users_own_and_comes_back_on_release():
    setting = Setting(max_concurrent=2)
    first, _ = setting.admit(), setting.admit()

    with pytest.raises(QuotaError, match="2 requests waiting or running") as caught:
        setting.admit()

    assert caught.value.limit == "limits.max_concurrent"
    assert caught.value.retry_after_s == 1
    setting.admit(uid=1001)
    first.release()
    setting.admit()


def test_release_counts_once():
    setting = Setting(max_concurrent=2)
    setting.admit()
    second = setting.admit()
    second.release()
    second.release()
    setting.admit()

    with pytest.raises(QuotaError):
        setting.admit()


def test_bytes_of_all_requests_under_way_count_together():
    setting = Setting(max_queued_bytes=100)
    first = setting.admit(size_bytes=60)
    setting.admit(size_bytes=40)

    with pytest.raises(QuotaError, match="100 bytes of inputs") as caught:
        setting.admit(size_bytes=1)

    assert caught.value.limit == "limits.max_queued_bytes"
    setting.admit(size_bytes=0)
    first.release()
    setting.admit(size_bytes=60)


def test_request_that_never_fits_is_too_large_instead_of_too_early():
    """429 with Retry-After would have its client send it for ever."""
    setting = Setting(max_queued_bytes=100)

    with pytest.raises(BodyTooLargeError, match="100 bytes of inputs; this request has 101"):
        setting.admit(size_bytes=101)


def test_rate_says_how_many_whole_seconds_to_wait():
    setting = Setting(rate_per_s=0.25, burst=1)
    setting.admit()
    setting.clock.advance(0.5)

    with pytest.raises(QuotaError, match=r"0\.25 requests a second") as caught:
        setting.admit()

    assert caught.value.limit == "limits.rate_per_s"
    assert caught.value.retry_after_s == 4
    setting.clock.advance(4)
    setting.admit()


def test_wait_is_never_told_to_be_nothing():
    setting = Setting(rate_per_s=1000.0, burst=1)
    setting.admit()

    with pytest.raises(QuotaError) as caught:
        setting.admit()

    assert caught.value.retry_after_s == 1


def test_what_is_refused_costs_no_token():
    setting = Setting(rate_per_s=0.001, burst=2, max_concurrent=1)
    first = setting.admit()
    assert setting.admitted(5) == 0
    first.release()

    setting.admit()


def test_message_names_caller_limit_value_and_setting():
    setting = Setting(max_concurrent=3)
    for _ in range(3):
        setting.admit()

    with pytest.raises(QuotaError) as caught:
        setting.admit()

    assert caught.value.message == "User user1000 may have 3 requests waiting or running at a time."
    assert "limits.max_concurrent of everybody (limits.default)" in caught.value.hint


def test_processes_of_a_unit_share_its_limits_whatever_their_user():
    setting = Setting(callers=(CallerRule(unit="kiosk.service", limits=CallerLimits(max_concurrent=1)),))
    setting.admit(uid=1, unit="kiosk.service")

    with pytest.raises(QuotaError, match=r"Unit kiosk\.service"):
        setting.admit(uid=2, unit="kiosk.service")
    setting.admit(uid=2, unit="other.service")


def test_reload_applies_at_once_to_those_under_way():
    setting = Setting(max_concurrent=3)
    admissions = [setting.admit() for _ in range(3)]
    setting.reload(max_concurrent=2)
    admissions.pop().release()

    with pytest.raises(QuotaError):
        setting.admit()

    admissions.pop().release()
    setting.admit()


def test_reload_keeps_what_is_in_the_bucket():
    setting = Setting(rate_per_s=0.001, burst=10)
    assert setting.admitted(7) == 7
    setting.reload(rate_per_s=0.001, burst=100)

    assert setting.admitted(10) == 3


def test_reload_that_sets_a_rate_begins_with_its_burst():
    setting = Setting()
    assert setting.admitted(20) == 20
    setting.reload(rate_per_s=0.001, burst=2)

    assert setting.admitted(5) == 2
    setting.reload()
    assert setting.admitted(5) == 5


def test_reload_that_names_a_unit_counts_it_anew_and_the_old_share_comes_back_to_where_it_was():
    setting = Setting(max_concurrent=1)
    before = setting.admit(unit="kiosk.service")
    rules = (CallerRule(unit="kiosk.service", limits=CallerLimits(max_concurrent=1)),)
    setting.reload(callers=rules, max_concurrent=1)
    after = setting.admit(unit="kiosk.service")
    before.release()

    with pytest.raises(QuotaError):
        setting.admit(unit="kiosk.service")
    setting.admit()
    after.release()
    setting.admit(unit="kiosk.service")


@pytest.mark.parametrize("rate_per_s", [0.0, 10.0])
def test_callers_that_hold_nothing_are_forgotten(rate_per_s):
    setting = Setting(rate_per_s=rate_per_s, burst=5)
    held = setting.admit(uid=0)
    for uid in range(1, 5000):
        setting.admit(uid=uid).release()
        setting.clock.advance(0.1)

    assert len(setting.quotas._shares) < 200
    held.release()


def test_caller_that_is_not_forgotten_has_no_new_burst():
    """A flood of other callers makes nobody's bucket full again."""
    setting = Setting(rate_per_s=0.001, burst=1)
    setting.admit(uid=0).release()
    for uid in range(1, 300):
        setting.admit(uid=uid).release()

    with pytest.raises(QuotaError):
        setting.admit(uid=0)


class EveryOrderOfThings(RuleBasedStateMachine):
    """Requests of a few callers begin and end in any order, between reloads; a simple model counts along."""

    admissions = Bundle("admissions")

    def __init__(self):
        super().__init__()
        self.setting = Setting(max_concurrent=3, max_queued_bytes=100)
        self.held = {}
        """Sizes of what each caller holds, by admission."""

    @rule(target=admissions, uid=st.integers(0, 2), size=st.integers(0, 100))
    def ask(self, uid, size):
        limits = self.setting.config.default
        mine = [bytes_ for owner, bytes_ in self.held.values() if owner == uid]
        fits = len(mine) < limits.max_concurrent and sum(mine) + size <= limits.max_queued_bytes
        try:
            admission = self.setting.admit(uid=uid, size_bytes=size)
        except (QuotaError, BodyTooLargeError):
            assert not fits
            return None
        assert fits
        self.held[admission] = (uid, size)
        return admission

    @rule(admission=admissions)
    def end(self, admission):
        """Also of one that ended before, which must not count again."""
        if admission is not None:
            admission.release()
            self.held.pop(admission, None)

    @rule(concurrent=st.integers(1, 4), queued=st.integers(0, 150))
    def reload(self, concurrent, queued):
        self.setting.reload(max_concurrent=concurrent, max_queued_bytes=queued)


TestEveryOrderOfThings = EveryOrderOfThings.TestCase


@given(
    steps=st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 3.0)), max_size=200),
    rate=st.floats(0.1, 10.0),
    burst=st.integers(1, 5),
)
def test_rate_holds_for_each_caller_however_often_others_ask(steps, rate, burst):
    """Forgetting callers must give nobody more than ``burst + rate * time``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotas, "_FEW", 0)
        setting = Setting(rate_per_s=rate, burst=burst)
        began_s, granted = setting.clock.monotonic_s(), dict.fromkeys(range(4), 0)
        for uid, pause_s in steps:
            setting.clock.advance(pause_s)
            granted[uid] += setting.admitted(3, uid=uid)
            most = burst + rate * (setting.clock.monotonic_s() - began_s)
            assert granted[uid] <= most + 1e-6
