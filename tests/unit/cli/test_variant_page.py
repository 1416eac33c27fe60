"""What a person reads about the variants of a model."""

from edged.api.documents.status import ModelStatus, VariantStatus
from edged.cli.variant_page import variant_rows


def rows(*variants: VariantStatus) -> list[tuple[str, str]]:
    return list(variant_rows(ModelStatus(name="gauge", state="serving", slots=(), variants=variants)))


def variant(id_: str, state: str, **fields) -> VariantStatus:
    return VariantStatus(id=id_, tier="quality", precision="fp32", state=state, **fields)


def test_only_variant_goes_without_saying_as_long_as_it_answers():
    assert rows() == []
    assert rows(variant("gauge-fp32", "answers")) == []


def test_each_variant_has_a_row_with_what_is_known_and_why_it_is_not_used():
    assert rows(
        variant("a", "answers", p95_ms=1.23456, memory_bytes=14 << 20),
        variant("b", "loaded"),
        variant("c", "unusable", reasons=("needs gpu\x1b[2J", "too large")),
    ) == [
        ("Variants", "a (quality) answers; 95 % of runs within 1.23 ms; 14.7 MB"),
        ("", "b (quality) loaded, could answer at once"),
        ("", "c (quality) not usable: needs gpu\\x1b[2J; too large"),
    ]


def test_cold_switch_is_told_as_one():
    ((_, text),) = rows(variant("a", "loading", requests_wait=True))

    assert "requests wait" in text


def test_what_a_variant_draws_stands_beside_what_its_manifest_states():
    (_, stated), (_, unstated) = rows(
        variant("a", "answers", joules=0.0123, watts=2.125, stated_watts=1.0),
        variant("b", "loaded", joules=1.5, watts=3.0),
    )

    assert stated == "a (quality) answers; 12.30 mJ a run, draws 2.12 W (its manifest states 1 W)"
    assert unstated == "b (quality) loaded, could answer at once; 1.5 J a run, draws 3.00 W"


def test_only_variant_has_a_row_where_it_draws_more_than_its_manifest_states():
    assert len(rows(variant("a", "answers", joules=0.01, watts=2.0, stated_watts=1.0))) == 1
    assert rows(variant("a", "answers", joules=0.01, watts=0.5, stated_watts=1.0)) == []
