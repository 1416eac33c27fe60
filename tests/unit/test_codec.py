import json
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.codec import (
    Document,
    convert,
    decode_json,
    encode_canonical,
    encode_readable,
    repeated_keys,
    schema_of,
)
from edged.errors import ConfigError, DocumentError


class Wheel(Document, frozen=True, kw_only=True, tag_field="kind", tag="wheel"):
    size: Annotated[int, msgspec.Meta(ge=1, le=100)]


class Track(Document, frozen=True, kw_only=True, tag_field="kind", tag="track"):
    links: int


class Robot(Document, frozen=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")]
    colour: Literal["red", "blue"] = "red"
    parts: tuple[Wheel | Track, ...] = ()


def problems_of(value, type_=Robot):
    with pytest.raises(DocumentError) as caught:
        decode_json(type_, json.dumps(value).encode(), source="robot.json")
    return {problem.pointer: str(problem) for problem in caught.value.problems}


def test_a_right_document_becomes_its_type():
    robot = decode_json(Robot, b'{"name": "ida", "parts": [{"kind": "wheel", "size": 3}]}', source="x")

    assert robot == Robot(name="ida", parts=(Wheel(size=3),))


def test_every_problem_is_named_at_once():
    """People mend a document once, not once per mistake."""
    found = problems_of({"name": "IDA", "colour": "green", "parts": [{"kind": "wheel", "size": 0}], "wings": 2})

    assert set(found) == {"/name", "/colour", "/parts/0/size", ""}
    assert "one of blue, red, got 'green'" in found["/colour"]
    assert "known keys are colour, name, parts" in found[""]


def test_a_missing_key_is_named():
    assert "expected a key 'name'" in problems_of({})[""]


def test_problem_in_one_of_several_kinds_points_into_the_kind_that_was_meant():
    found = problems_of({"name": "ida", "parts": [{"kind": "track", "links": "many"}]})

    assert list(found) == ["/parts/0/links"]


def test_an_unknown_kind_is_a_problem():
    assert any(pointer.startswith("/parts/0") for pointer in problems_of({"name": "ida", "parts": [{"kind": "wing"}]}))


def test_pointer_escapes_slash_and_tilde():
    """RFC 6901, section 3: ``~`` is written ``~0`` and ``/`` is written ``~1``."""

    class Sizes(Document, frozen=True, kw_only=True):
        sizes: dict[str, int]

    assert list(problems_of({"sizes": {"a/b~c": "x"}}, Sizes)) == ["/sizes/a~1b~0c"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"nope", b'{"name": "a\xff"}', b'{"name": NaN}'])
def test_what_is_not_json_is_one_problem(data):
    with pytest.raises(DocumentError, match="a JSON document"):
        decode_json(Robot, data, source="x")


@pytest.mark.parametrize(
    "data",
    [b"[1,", b'{"name": 1', b"[" * 100_000, b'{"name": 1, "parts": ' + b"[" * 100_000],
    ids=["list", "object", "deep list", "deep key"],
)
def test_what_breaks_off_after_a_first_mistake_is_still_one_problem(data):
    """The struct decoder stops at the first mistake, before it has seen that the rest is no JSON."""
    with pytest.raises(DocumentError, match="JSON document"):
        decode_json(Robot, data, source="x")


def test_error_class_and_source_are_the_callers():
    with pytest.raises(ConfigError, match=r"^robot\.toml: /name") as caught:
        convert(Robot, {"name": 5}, source="robot.toml", error=ConfigError)

    assert caught.value.source == "robot.toml"


def test_canonical_form_sorts_keys_and_has_no_spare_space():
    assert encode_canonical({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}'.encode()


def test_forms_refuse_numbers_json_does_not_have():
    for encode in (encode_canonical, encode_readable):
        with pytest.raises(ValueError, match="JSON compliant"):
            encode({"x": float("nan")})


robots = st.builds(
    Robot,
    name=st.from_regex("[a-z]+", fullmatch=True),
    colour=st.sampled_from(["red", "blue"]),
    parts=st.lists(
        st.builds(Wheel, size=st.integers(1, 100)) | st.builds(Track, links=st.integers(-(2**60), 2**60))
    ).map(tuple),
)


@given(robots)
def test_both_forms_read_back_as_the_same_value(robot):
    for encode in (encode_canonical, encode_readable):
        data = encode(robot)
        assert decode_json(Robot, data, source="x") == robot
        assert encode(decode_json(Robot, data, source="x")) == data


def test_schema_refuses_unknown_keys():
    schema = schema_of(Robot)

    assert schema["$defs"]["Robot"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("data", "pointers"),
    [
        (b'{"a": 1, "b": {"a": 1}}', []),
        (b'{"a": 1, "a": 1}', ["/a"]),
        (b'{"x": [{"a": 1}, {"a": 1, "b": 2, "a": {"c": 1, "c": 1}}]}', ["/x/1/a", "/x/1/a/c"]),
        (b'{"a/b": 1, "a\\u002fb": 2}', ["/a~1b"]),
        (b"[]", []),
    ],
)
def test_keys_that_come_twice_are_found_wherever_they_are(data, pointers):
    assert [problem.pointer for problem in repeated_keys(data)] == pointers


def test_an_unknown_key_that_is_nearly_right_is_guessed():
    found = problems_of({"name": "ida", "color": "red"})

    assert "'color' was unexpected; did you mean 'colour'? known keys are" in found[""]


def test_an_unknown_kind_is_told_with_those_there_are():
    found = problems_of({"name": "ida", "parts": [{"kind": "wheels"}, {}, 5, {"kind": 7}]})

    assert "expected one of track, wheel; did you mean 'wheel'?, got 'wheels'" in found["/parts/0/kind"]
    assert "expected a key 'kind'" in found["/parts/1"]
    assert "expected object, got 5" in found["/parts/2"]
    assert "expected one of track, wheel, got 7" in found["/parts/3/kind"]


def test_what_may_be_absent_is_told_by_what_it_is_when_it_is_there():
    class Lamp(Document, frozen=True, kw_only=True):
        power_watts: Annotated[float, msgspec.Meta(gt=0)] | None = None

    assert problems_of({"power_watts": "60 W"}, Lamp) == {
        "/power_watts": "/power_watts: expected number of watts; write 60, got '60 W'"
    }
    assert "expected above 0, got -1" in problems_of({"power_watts": -1}, Lamp)["/power_watts"]


@pytest.mark.parametrize("value", ["x" * 10_000, ["x" * 10_000], {"k" * 10_000: 1}])
def test_errors_stay_short_whatever_was_found(value):
    for text in problems_of({"name": value, "x" * 10_000: 1}).values():
        assert len(text) < 1000
