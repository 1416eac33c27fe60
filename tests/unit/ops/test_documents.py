"""Which document may follow another."""

import pytest

from edged.ops.documents import KINDS, is_newer, merged
from edged.ops.flags import Flags
from edged.ops.standing import Standing
from edged.ops.stop import Stops
from edged.store.layout import StoreLayout

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
