"""What was asked of a variant."""

import math

from edged.daemon.serving.crowd import DAEMON
from edged.daemon.serving.demand import Demand
from edged.daemon.serving.runs import Waiting
from edged.runtime.calls import Call, Request, RequestClass


def taken(uid: int, request_class: RequestClass = RequestClass.INTERACTIVE) -> Waiting:
    request = Request(inputs=(), deadline_s=math.inf, uid=uid, request_class=request_class)
    return Waiting(Call(request, lambda _outcome: None), arrived_s=0.0)


def test_the_daemons_own_requests_are_counted_and_ask_for_nothing():
    demand = Demand()
    demand.note(taken(DAEMON), now_s=5.0)

    assert (demand.requests, demand.asked_s, demand.wanted_s) == (1, -math.inf, -math.inf)


def test_background_work_is_asked_for_and_nobody_waits_for_it():
    demand = Demand()
    demand.note(taken(1000), now_s=5.0)
    demand.note(taken(1000, RequestClass.BACKGROUND), now_s=7.0)

    assert (demand.asked_s, demand.wanted_s) == (7.0, 5.0)


def test_requests_of_lent_connections_are_counted_apart():
    demand = Demand()
    demand.note_lent({}, now_s=5.0)
    assert demand.asked_s == -math.inf

    demand.note_lent({"ok": 3, "worker-lost": 1}, now_s=7.0)

    assert (demand.requests, demand.lent_requests, demand.lent_failures) == (0, 4, 1)
    assert (demand.asked_s, demand.wanted_s) == (7.0, 7.0)


def test_who_answers_next_goes_on_where_the_one_before_was():
    before, after = Demand(), Demand()
    before.note(taken(1000), now_s=5.0)
    after.follow([before])

    assert (after.requests, after.asked_s, after.wanted_s) == (0, 5.0, 5.0)
