"""Rates are shared out among connections, and the lowest counts."""

from dataclasses import dataclass

import pytest

from edged.callers.caller import Caller
from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.schema import CallerLimits, LimitsConfig, ServeConfig
from edged.daemon.tensors.leases import Leases
from edged.errors import PolicyLimitError
from edged.select.decision import Action, Decision
from edged.tensor_socket import Open


@dataclass
class Connection:
    caller: Caller
    opening: Open


def caller_of(uid: int) -> Caller:
    return Caller(uid=uid, user=str(uid))


class Socket:
    """Connections, by descriptor, and what counts for them."""

    def __init__(self) -> None:
        self.connections: dict[int, Connection] = {}
        self.limits = CallerLimits()
        self.decided: dict[str, Decision] = {}
        self.leases = Leases(
            self.connections,
            quotas=Quotas(lambda: LimitsConfig(default=self.limits), SystemClock()),
            limits=ServeConfig,
            scale=lambda _model, _class: 1.0,
            limiting=lambda model, _class: self.decided.get(model),
        )

    def connect(self, uid: int, model: str = "echo", **options) -> int:
        number = len(self.connections) + 10
        self.connections[number] = Connection(caller_of(uid), Open(model=model, **options))
        self.leases.count()
        return number

    def decide(self, model: str = "echo", **limits) -> None:
        self.decided[model] = Decision(action=Action.RUN, rule="warm", origin="packaged", rank=0, **limits)

    def terms(self, number: int) -> tuple[float, int, str]:
        lease = self.leases.lease(self.connections[number].opening, self.connections[number].caller)
        return lease.rate_per_s, lease.burst, lease.rule

    def may_stay(self, number: int) -> bool:
        try:
            self.leases.check_place(self.connections[number].opening, number)
        except PolicyLimitError:
            return False
        return True


@pytest.fixture
def socket():
    return Socket()


def test_without_any_limit_there_is_none(socket):
    assert socket.terms(socket.connect(1000)) == (0.0, 100, "")


def test_a_callers_rate_is_shared_by_its_connections_alone(socket):
    socket.limits = CallerLimits(rate_per_s=6.0, burst=4)
    mine, also_mine, of_another = (socket.connect(uid) for uid in (1000, 1000, 1001))

    assert [socket.terms(number) for number in (mine, also_mine, of_another)] == [
        (3.0, 2, ""),
        (3.0, 2, ""),
        (6.0, 4, ""),
    ]


def test_a_rate_of_the_policy_is_shared_by_everybody_who_asks_for_the_same(socket):
    socket.decide(max_rate_per_s=15.0)
    numbers = [socket.connect(1000), socket.connect(1001)]
    others = [socket.connect(1000, "other"), socket.connect(1000, is_background=True)]

    assert [socket.terms(number) for number in numbers] == [(7.5, 8, "warm")] * 2
    assert [socket.terms(number)[::2] for number in others] == [(0.0, ""), (15.0, "warm")]


@pytest.mark.parametrize(("own", "of_rule", "rate", "rule"), [(5.0, 9.0, 5.0, ""), (9.0, 5.0, 5.0, "warm")])
def test_the_lower_rate_counts(socket, own, of_rule, rate, rule):
    socket.limits = CallerLimits(rate_per_s=own, burst=1)
    socket.decide(max_rate_per_s=of_rule)

    assert socket.terms(socket.connect(1000))[::2] == (rate, rule)


def test_as_many_connections_stay_as_requests_may_run_those_that_came_first(socket):
    numbers = [socket.connect(uid) for uid in (1000, 1001, 1000)]
    other = socket.connect(1000, "other")
    socket.decide(max_concurrent=2)

    assert [socket.may_stay(number) for number in (*numbers, other)] == [True, True, False, True]


def test_a_new_connection_is_the_last(socket):
    socket.decide(max_concurrent=1)
    socket.leases.check_place(Open(model="echo"), 7)
    socket.connect(1000)

    with pytest.raises(PolicyLimitError, match="rule warm lets no more than 1 requests at a time for model echo"):
        socket.leases.check_place(Open(model="echo"), 7)
