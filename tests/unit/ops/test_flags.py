import hashlib

import pytest

from edged.codec import decode_json
from edged.errors import DocumentError
from edged.ops.cohort import is_among
from edged.ops.flags import Flag, FlagRule, Flags, evaluate
from edged.ops.segments import Device, Segment

EU = Segment(labels={"region": ("eu",)})
DEVICE = Device(id="d", arch="amd64", labels={"region": "eu"})


def value_of(flag, device=DEVICE):
    return evaluate(Flags(schema=1, issued="2026-11-22T10:00:00Z", flags={"f": flag}), device)["f"]


def test_flag_without_rules_has_its_default():
    assert value_of(Flag()) is False
    assert value_of(Flag(default="fast")) == "fast"


def test_first_rule_that_fits_decides():
    flag = Flag(
        default=0,
        rules=(
            FlagRule(value=1, segments=(Segment(arch=("arm64",)),)),
            FlagRule(value=2, segments=(EU,)),
            FlagRule(value=3),
        ),
    )

    assert value_of(flag) == 2
    assert value_of(flag, Device(id="d", arch="arm64")) == 1
    assert value_of(flag, Device(id="d", arch="amd64")) == 3


def test_percentage_is_of_the_devices_of_the_segment_and_of_this_flag():
    flag = Flag(default=False, rules=(FlagRule(value=True, segments=(EU,), percent=20),))
    ids = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(500)]
    on = {id_ for id_ in ids if value_of(flag, Device(id=id_, arch="amd64", labels={"region": "eu"}))}

    assert on == {id_ for id_ in ids if is_among("flag:f", id_, percent=20)}
    assert 50 < len(on) < 150
    assert not any(value_of(flag, Device(id=id_, arch="amd64")) for id_ in ids)


def test_values_are_sorted_by_name():
    flags = Flags(schema=1, issued="2026-11-22T10:00:00Z", flags={"b": Flag(), "a": Flag(default=1)})

    assert list(evaluate(flags, DEVICE).items()) == [("a", 1), ("b", False)]


@pytest.mark.parametrize("name", ["", "Fast", "-x", "a b", "x\n", "a" * 128])
def test_names_that_are_no_path_are_a_mistake(name):
    document = (
        b'{"schema": 1, "issued": "2026-11-22T10:00:00Z", "flags": {"%s": {}}}' % name.replace("\n", "\\n").encode()
    )
    with pytest.raises(DocumentError):
        decode_json(Flags, document, source="flags.json")
