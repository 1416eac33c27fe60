"""Connections are answered within their terms, and given back when they are asked for."""

import math
import threading
import time

import numpy as np
import pytest

from edged.runtime.lending import Lease
from edged.tensor_socket import Error
from edged.worker.borrower import _milliseconds_until
from edged.worker.pool import Pool
from tests.fakes.borrowers import LEASE
from tests.fakes.lendings import ONE, Bench, counted
from tests.fakes.patience import PATIENCE_S


def test_a_client_that_leaves_is_given_back(lending):
    loan, other = lending.lend(), lending.lend()
    loan.ask(ONE)
    loan.connection.close()

    assert lending.returned() == (loan.number, "closed")
    assert other.ask(ONE).tolist() == [2.0, 2.0, 2.0]


def test_a_client_that_leaves_while_its_request_runs_is_given_back_afterwards(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        loan.connection.close()
        gate.leave.release()

        assert lending.returned() == (loan.number, "closed")


def test_an_idle_connection_is_given_back_at_once_with_all_that_was_not_read(lending):
    loan = lending.lend()
    loan.ask(ONE)

    lending.revoke(loan)
    assert lending.returned() == (loan.number, "revoked")
    loan.send(ONE, request=2)
    assert loan.lent.recv(1 << 16)[8:16] == (2).to_bytes(8, "little")


def test_a_busy_connection_is_given_back_when_its_request_is_answered(tmp_path, gate, monkeypatch):
    is_revoked = threading.Event()
    remove = Pool.remove

    def remove_and_tell(pool, source):
        remove(pool, source)
        is_revoked.set()

    monkeypatch.setattr(Pool, "remove", remove_and_tell)
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE, request=1)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        lending.revoke(loan)
        assert is_revoked.wait(PATIENCE_S), "otherwise the next request may be taken first"
        loan.send(ONE, request=2)
        gate.leave.release()

        assert lending.returned() == (loan.number, "revoked")
        assert loan.receive().request == 1
        assert loan.lent.recv(1 << 16)[8:16] == (2).to_bytes(8, "little")


def test_an_urgent_revocation_stops_the_request(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        loan.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        lending.revoke(loan, is_urgent=True)

        assert lending.returned() == (loan.number, "revoked")
        assert loan.receive().code == "deadline-exceeded"


def test_revoking_what_came_back_already_does_nothing(lending):
    loan, other = lending.lend(), lending.lend()
    lending.revoke(loan)
    assert lending.returned() == (loan.number, "revoked")

    lending.revoke(loan, is_urgent=True)
    lending.amend(loan, LEASE)
    lending.revoke(other)
    assert lending.returned() == (other.number, "revoked")


def test_a_connection_can_be_lent_again(lending):
    loan = lending.lend()
    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]
    lending.revoke(loan)
    lending.returned()
    loan.send(ONE, request=2)
    lending.lend_again(loan)

    assert loan.receive().request == 2


def test_requests_beyond_the_rate_are_refused_with_when_to_come_again(lending):
    loan = lending.lend(lease=Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=2))
    assert [isinstance(loan.ask(ONE), Error) for _ in range(2)] == [False, False]

    error = loan.ask(ONE, request=9)
    assert (error.request, error.status, error.code, error.is_closing) == (9, 429, "quota-exceeded", False)
    assert 0 < error.retry_after_ms <= 100_000
    assert counted(lending) == {"ok": 2}


def test_whose_rate_it_is_is_told(lending):
    loan = lending.lend(lease=Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=1, rule="warm"))
    loan.ask(ONE)
    error = loan.ask(ONE)

    assert (error.status, error.code) == (503, "policy-limited")
    assert "rule warm" in error.message


def test_other_terms_hold_from_the_next_request_on(lending):
    loan = lending.lend(lease=Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=1))
    loan.ask(ONE)
    assert loan.ask(ONE).code == "quota-exceeded"

    lending.amend(loan, LEASE)
    lending.settle()
    assert loan.ask(ONE).tolist() == [2.0, 2.0, 2.0]
    lending.amend(loan, Lease(deadline_s=PATIENCE_S, rate_per_s=0.01, burst=1))
    lending.settle()
    loan.ask(ONE)
    assert loan.ask(ONE).code == "quota-exceeded"


@pytest.mark.parametrize(("asked_us", "lease_s"), [(20_000, PATIENCE_S), (0, 0.02), (4_000_000_000, 0.02)])
def test_a_request_that_runs_beyond_its_deadline_is_stopped_and_others_go_on(tmp_path, gate, asked_us, lease_s):
    """The shorter of what it asks for and what the connection may ask for; an earlier one is seen behind a later one."""
    with Bench(tmp_path, gate, parallel=2) as lending:
        patient, hasty = lending.lend(), lending.lend(lease=Lease(deadline_s=lease_s))
        patient.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)

        error = hasty.ask(ONE, deadline_us=asked_us)
        assert (error.status, error.code, error.is_closing) == (504, "deadline-exceeded", False)
        gate.leave.release()
        assert patient.read(patient.receive()).tolist() == ONE.tolist()


def test_a_request_whose_deadline_comes_while_it_waits_never_runs(tmp_path, gate):
    with Bench(tmp_path, gate, parallel=1) as lending:
        first, second = lending.lend(), lending.lend()
        first.send(ONE)
        assert gate.entered.acquire(timeout=PATIENCE_S)

        assert second.ask(ONE * 2, deadline_us=1000).code == "deadline-exceeded"
        gate.leave.release()
        first.receive()
        assert gate.order == [1.0]


def test_what_is_under_way_and_what_was_done_is_on_the_board(tmp_path, gate):
    with Bench(tmp_path, gate) as lending:
        loan = lending.lend()
        assert lending.board.under_way() == {}
        loan.send(ONE, request=77)
        assert gate.entered.acquire(timeout=PATIENCE_S)
        (under_way,) = lending.board.under_way().values()
        assert under_way.request == 77
        assert under_way.began_ns < under_way.deadline_ns <= under_way.began_ns + PATIENCE_S * 1e9
        gate.leave.release()
        loan.receive()
        loan.ask(np.ones((2, 2), np.float32))
        lending.revoke(loan)
        lending.returned()

        assert lending.board.under_way() == {}
        assert counted(lending) == {"ok": 1, "tensor-invalid": 1}


def test_a_borrower_sleeps_as_long_as_there_is_no_deadline_to_keep():
    """Awake, it would take a core from the models, with every model once more."""
    day_ms = 86_400_000

    assert _milliseconds_until(math.inf) > day_ms
    assert _milliseconds_until(time.monotonic_ns() + 60 * 10**9) > 1000
    assert _milliseconds_until(time.monotonic_ns() - 1) == 0
