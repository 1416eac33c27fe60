"""Who ends two workers has to rest."""

from edged.daemon.serving.strikes import MOST_KNOWN, Strikes

REST_S = 600.0
KEY = (1000, "echo", "1.0.0")


def test_one_worker_may_end_by_chance():
    strikes = Strikes(rest_s=REST_S)
    strikes.add(KEY, 1.0)

    assert strikes.rest_s(KEY, 2.0) == 0.0


def test_after_the_second_one_has_to_rest_for_as_long_as_is_set():
    strikes = Strikes(rest_s=REST_S)
    strikes.add(KEY, 100.0)
    strikes.add(KEY, 200.0)

    assert strikes.rest_s(KEY, 200.0) == REST_S
    assert strikes.rest_s(KEY, 799.0) == 1.0
    assert strikes.rest_s(KEY, 800.0) == 0.0
    assert strikes.rest_s(KEY, 801.0) == 0.0


def test_one_that_was_long_ago_is_forgotten():
    strikes = Strikes(rest_s=REST_S)
    strikes.add(KEY, 0.0)
    assert strikes.rest_s(KEY, REST_S) == 0.0
    strikes.add(KEY, REST_S)

    assert strikes.rest_s(KEY, REST_S + 1) == 0.0


def test_others_are_not_to_blame():
    strikes = Strikes(rest_s=REST_S)
    strikes.add(KEY, 1.0)
    strikes.add(KEY, 1.0)

    for other in ((1001, "echo", "1.0.0"), (1000, "other", "1.0.0"), (1000, "echo", "1.0.1")):
        assert strikes.rest_s(other, 2.0) == 0.0


def test_what_is_remembered_is_bounded():
    strikes = Strikes(rest_s=REST_S)
    for uid in range(MOST_KNOWN + 1):
        for _ in range(2):
            strikes.add((uid, "echo", "1.0.0"), 1.0)

    assert strikes.rest_s((0, "echo", "1.0.0"), 2.0) == 0.0
    assert all(strikes.rest_s((uid, "echo", "1.0.0"), 2.0) for uid in range(1, MOST_KNOWN + 1))
