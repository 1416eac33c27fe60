"""The packaged policies decide what their tables say, and what the tables have to say whatever the policies become."""

import re

import pytest

from tests.golden.policies.table import file_of, lines_of, names

TABLES = {name: list(lines_of(name)) for name in names()}


@pytest.mark.parametrize("name", TABLES)
def test_a_policy_decides_what_its_table_says(name):
    """After a change that is meant: python -m tests.golden.policies.renew, and read what has changed."""
    assert TABLES[name] == file_of(name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", TABLES)
def test_nothing_leaves_the_device_without_consent(name):
    assert not [line for line in TABLES[name] if ": offload" in line and "consent=true" not in line]


@pytest.mark.parametrize("name", TABLES)
def test_whoever_waits_gets_an_answer_on_mains(name):
    """Only a gauge that is read wrongly in the heat is better read later."""
    waits = [line for line in TABLES[name] if re.search(r"power=mains request=interactive: defer", line)]

    assert [line for line in waits if "accuracy=degraded" not in line] == []


@pytest.mark.parametrize("name", TABLES)
def test_a_hot_device_does_not_run_the_largest_variant(name):
    assert not [line for line in TABLES[name] if re.search("thermal=(serious|critical) .*: run fp32", line)]


def test_the_keyword_is_heard_in_any_state():
    heard = [line for line in TABLES["driver-assist"] if "model=wake-word" in line and "request=interactive" in line]

    assert heard
    assert all(line.endswith(": run int8, by keyword-first") for line in heard)
