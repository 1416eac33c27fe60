"""docs/tensor-socket.md says what the code does: its numbers are the code's, and its sizes those of the messages."""

import re
from pathlib import Path

import pytest

from edged.statuses import STATUSES
from edged.tensor_socket import Datatype, Kind, layout, messages
from edged.tensor_socket.layout import Fields, MessageType

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "tensor-socket.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())
CODES = {error.code: status for error, status in STATUSES.items()}
WIDTHS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}


def test_datatypes_kinds_and_types_have_their_numbers():
    for datatype in Datatype:
        assert re.search(rf"\b{datatype.value} {datatype.name}\b", WORDS), datatype
    for kind, words in (
        (Kind.INPUT, "for an input"),
        (Kind.MODEL_INPUT, "for one of the model's own"),
        (Kind.OUTPUT, "for an output"),
    ):
        assert re.search(rf"\b{kind.value} {words}", WORDS), kind
    for kind in MessageType:
        assert f"**{kind.name}** (type {kind.value}," in WORDS, kind


def test_limits_are_those_of_the_code():
    assert f"at most {messages.MAX_MESSAGE_BYTES} bytes" in WORDS
    assert f"at most {messages.MAX_TEXT_BYTES} bytes" in WORDS
    assert f"rank u8 (at most {messages.MAX_RANK})" in WORDS
    assert f"at most {messages.MAX_TENSORS} inputs, 1 to {messages.MAX_TENSORS} outputs" in WORDS.lower()
    assert f"multiples of {messages.ALIGNMENT}" in WORDS
    assert f"0x{layout.NO_OUTPUT:X}" in WORDS
    assert f"protocol u16 = {messages.PROTOCOL_VERSION}" in WORDS


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("OPEN", layout.OPEN), ("OPENED", layout.OPENED), ("INFER", layout.INFER),
        ("RESULT", layout.RESULT), ("ERROR", layout.ERROR), ("NOTICE", layout.NOTICE),
    ],
)  # fmt: skip
def test_tables_have_the_fields_of_the_code_at_their_places(name, fields: Fields):
    """Widths in the order of the table, and the places above them."""
    section = PAGE.partition(f"**{name}** (type ")[2]
    places = [int(place) for place in re.findall(r"\d+", re.search(r"\| at byte \|(.*)\|", section)[1])]
    row = re.search(r"\n\| \| (.*) \|\n", section)[1].split(" | ")
    widths = [WIDTHS[found[1]] for cell in row if (found := re.search(r"\b(u8|u16|u32|u64)\b", cell))]

    formats = [form.removeprefix("<") for form in fields._formats.values()]
    assert widths == formats
    at, starts = layout.HEADER.size, []
    for form in formats:
        starts.append(at)
        at += {"B": 1, "H": 2, "I": 4, "Q": 8}[form]
    assert places[: len(starts)] == starts
    assert places[len(starts) :] in ([], [at])


def test_statuses_of_the_errors_are_those_of_http():
    table = PAGE.partition("## Errors")[2]
    named = re.findall(r"(\d{3}) ([a-z]+(?:-[a-z]+)+)", table)

    assert len(named) >= 8
    for status, code in named:
        assert code == "version-unsupported" or CODES[code] == int(status), code
