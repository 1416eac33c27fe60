"""Which socket edgectl asks when nobody names one."""

import os

import pytest

from edged.cli.edgectl import choose_socket


@pytest.mark.parametrize(("may_open", "expected"), [(True, "/run/edged/admin.sock"), (False, "/run/edged/edged.sock")])
def test_administrators_socket_comes_first_where_it_may_be_opened(monkeypatch, may_open, expected):
    monkeypatch.setattr(os, "access", lambda path, mode: may_open)

    assert choose_socket() == expected
