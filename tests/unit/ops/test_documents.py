"""Which document may follow another."""

import tomllib

import msgspec
import pytest

from edged.errors import PolicyError
from edged.ops.documents import KINDS, is_newer, merged
from edged.ops.flags import Flags
from edged.ops.policy import Policy
from edged.ops.standing import Standing
from edged.ops.stop import Stops
from edged.policy.document import PolicyFile
from edged.store.layout import StoreLayout
from tests.fakes.policies import SITE, policy_of

ISSUED = "2026-11-22T10:00:00Z"


def stops(serial):
    return Stops(schema=1, issued=ISSUED, serial=serial, models={})


@pytest.mark.parametrize(("serial", "counts"), [(4, False), (5, False), (6, True)])
def test_stop_document_is_replaced_by_a_higher_serial_alone(serial, counts):
    assert is_newer(stops(serial), stops(5)) is counts


def test_other_documents_come_in_the_order_of_the_repository():
    flags = Flags(schema=1, issued=ISSUED, flags={})

    assert is_newer(flags, flags)
    assert is_newer(stops(1), None)


def test_floors_never_become_lower_and_the_time_is_the_last_one():
    old = Standing(seen_unix_s=100.0, floors={"a": "1.10.0", "b": "2.0.0"})
    new = Standing(seen_unix_s=50.0, floors={"a": "1.9.0", "c": "1.0.0"})

    assert merged(new, old) == Standing(seen_unix_s=50.0, floors={"a": "1.10.0", "b": "2.0.0", "c": "1.0.0"})
    assert merged(new, None) == new


def test_files_are_where_the_updater_puts_them(tmp_path):
    layout = StoreLayout(tmp_path)

    assert {layout.ops / kind.file for kind in KINDS} == {
        layout.stop, layout.flags, layout.policy, layout.standing, layout.rollout,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SITE.replace("thermal =", "heat ="), "expected the name of a quantity"),
        (SITE.replace('variant = "int8" }\n', 'variant = "fp32" }\n'), "expected fp32, got int8"),
    ],
    ids=["rule", "test"],
)
def test_rules_with_a_mistake_make_their_document_one_that_is_not_taken(text, problem):
    """Whoever signed it: a device goes on with the rules that it has."""
    rules = msgspec.convert(tomllib.loads(text), PolicyFile)
    data = msgspec.json.encode(Policy(schema=1, issued=ISSUED, rules=rules))
    (kind,) = [kind for kind in KINDS if kind.name == "policy"]

    with pytest.raises(PolicyError, match=problem):
        kind.parse(data, source="policy.json")


def test_rules_without_one_are_taken():
    (kind,) = [kind for kind in KINDS if kind.name == "policy"]
    policy = Policy(schema=1, issued=ISSUED, rules=policy_of())

    assert kind.parse(msgspec.json.encode(policy), source="policy.json") == policy
