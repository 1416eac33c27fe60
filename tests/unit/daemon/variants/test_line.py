"""What is wanted of a version, what that needs, and since when nobody wants what is loaded."""

from types import SimpleNamespace

import pytest

from edged.daemon.variants.line import Line, Want
from edged.select.decision import Measured
from tests.fakes.variants import variant

KNOWN = (variant("fp32"), variant("fp16", precision="fp16"), variant("int8", precision="int8"))


@pytest.fixture
def line():
    return Line(bundle=None, home="fp32", known=KNOWN, misfits={"fp16": ("this machine has no fp16",)})


def wants(*variants: str) -> Want:
    return Want(variants=variants, rule="hot", since_s=0.0)


def served(*ids: str, broken: str = ""):
    return [
        SimpleNamespace(loadable=SimpleNamespace(variant=SimpleNamespace(id=id_)), start_error="no" * (id_ == broken))
        for id_ in ids
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (("int8", "fp32"), ("int8", "fp32")),
        (("int8-of-another-version", "int8"), ("int8",)),
        (("int8-of-another-version",), ("fp32",)),
        ((), ("fp32",)),
    ],
)
def test_what_another_version_has_is_not_wanted_of_this_one_and_where_nothing_is_what_it_began_with(
    line, wanted, found
):
    assert line.wanted(wants(*wanted)) == found


def test_what_cannot_run_here_is_no_target(line):
    line.failures["int8"] = "it failed its kit"

    assert line.targets(wants("fp16", "int8", "fp32"), served("fp32")) == ["fp32"]
    assert line.targets(wants("int8"), served("fp32")) == ["fp32"]


def test_a_variant_whose_worker_cannot_be_started_is_not_usable_and_says_why(line):
    assert line.unusable(served("fp32", "int8", broken="int8")) == {
        "fp16": ("this machine has no fp16",),
        "int8": ("its worker cannot be started: no",),
    }


def test_memory_is_as_it_was_seen_here_or_else_as_the_manifest_says(line):
    measured = {"fp32": Measured(memory_bytes=5), "int8": Measured(latency_s=0.1)}

    assert line.needs_bytes(measured) == {"fp32": 5, "fp16": 1 << 20, "int8": 1 << 20}


def test_time_counts_since_nobody_wants_what_is_loaded_and_begins_anew_once_somebody_did(line):
    def unwanted_s(now_s: float, *wanted: str) -> list[float]:
        return [item.unwanted_s for item in line.loaded(wants(*wanted), served("fp32", "int8"), now_s=now_s)]

    assert unwanted_s(100.0, "fp32") == [0.0, 0.0]
    assert unwanted_s(160.0, "fp32") == [0.0, 60.0]
    assert unwanted_s(170.0, "fp32", "int8") == [0.0, 0.0]
    assert unwanted_s(180.0, "fp32") == [0.0, 0.0]
    assert unwanted_s(190.0, "fp32") == [0.0, 10.0]


def test_what_is_loaded_without_a_worker_is_said_not_to_work(line):
    found = line.loaded(wants("int8"), served("fp32", "int8", broken="int8"), now_s=100.0)

    assert [(item.id, item.is_working) for item in found] == [("fp32", True), ("int8", False)]


def test_what_answers_is_needed_whoever_wants_it(line):
    for now_s in (100.0, 200.0):
        assert line.loaded(wants("int8"), served("fp32", "int8"), now_s=now_s)[0].unwanted_s == 0.0
