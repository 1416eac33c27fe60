"""Turn JSON and TOML documents into typed values, strictly, and name every problem at once.

The types are msgspec structs, which read fast and stop at the first problem. Only when that happens is every problem looked for
(``edged.diagnosis``): people mend a document once, not once per mistake.
"""

import codecs
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from edged.diagnosis import escaped, problems_of, shortened
from edged.errors import DocumentError, Problem

T = TypeVar("T")
MAX_DEPTH: Final = 100
"""No document of edged is nested half as deep. Interpreters differ in how deep they read, and all give up on what is much deeper."""
_MARKS: Final = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every value that is read from a document: immutable, keyword-only, refusing unknown keys."""


def decode_json(type_: type[T], data: bytes, *, source: str, error: type[DocumentError] = DocumentError) -> T:
    """Read a JSON document into ``type_``.

    Args:
        type_: The struct to make.
        data: The document, UTF-8.
        source: What to call the document in errors; a path or a URL.
        error: The class to raise.

    Raises:
        DocumentError: As ``error``; it is not JSON, or does not follow the type. Lists every problem.
    """
    try:
        return msgspec.json.decode(data, type=type_)
    except msgspec.ValidationError as exc:
        first = exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise error(source, [_not_json(data, exc)]) from exc
    try:
        value = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:  # msgspec met its first mistake before the place where this is no JSON
        raise error(source, [_not_json(data, exc)]) from exc
    raise error(source, _all_problems(type_, value, first)) from first


def convert(
    type_: type[T], value: Mapping[str, object], *, source: str, error: type[DocumentError] = DocumentError
) -> T:
    """Read an already parsed document (TOML, or a part of JSON) into ``type_``.

    Raises:
        DocumentError: As ``error``; lists every problem.
    """
    try:
        return msgspec.convert(value, type=type_)
    except msgspec.ValidationError as exc:
        raise error(source, _all_problems(type_, value, exc)) from exc


def encode_canonical(value: object) -> bytes:
    """Write a value as JSON with sorted keys and no spare space, so that equal values give equal bytes."""
    return json.dumps(
        msgspec.to_builtins(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def encode_readable(value: object) -> bytes:
    """Write a value as indented JSON with sorted keys and a final newline; equal values give equal bytes."""
    text = json.dumps(msgspec.to_builtins(value), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def is_too_deep(value: object) -> bool:
    """Tell whether a document is nested deeper than ``MAX_DEPTH``; what follows it to its end may then fail for want of stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        held = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [item for items in held for item in items]
    return bool(level)


@cache
def schema_of(type_: type) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document type."""
    return msgspec.json.schema(type_)


def _not_json(data: bytes, exc: Exception) -> Problem:
    """Say where a text stops being JSON."""
    if data.startswith(_MARKS):
        return Problem(pointer="", expected="expected a JSON document in UTF-8 without a byte order mark")
    if isinstance(exc, RecursionError):
        return Problem(pointer="", expected="expected a JSON document", found="one nested too deep")
    try:
        json.loads(data, parse_constant=_refuse_constant)
    except json.JSONDecodeError as better:
        exc = ValueError(f"line {better.lineno}, column {better.colno}: {better.msg}")
    except (ValueError, RecursionError) as better:
        exc = better
    return Problem(pointer="", expected="expected a JSON document", found=shortened(str(exc)))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name}, which is no JSON number")


class _Repetitive(dict[str, object]):
    """An object of a JSON text in which keys come more than once."""

    repeated: tuple[str, ...] = ()


def repeated_keys(data: bytes) -> list[Problem]:
    """Find the keys that come more than once in one object of a JSON text; decoders silently take the last of each.

    Two readers of such a document may see two different ones, so what is signed must not have any.
    """
    is_clean = True

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal is_clean
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        is_clean = False
        marked = _Repetitive(value)
        marked.repeated = tuple(sorted(key for key, count in Counter(key for key, _ in pairs).items() if count > 1))
        return marked

    document = json.loads(data, object_pairs_hook=collect)
    return [] if is_clean else list(_repeated(document, ""))


def _repeated(value: object, pointer: str) -> Iterator[Problem]:
    if isinstance(value, _Repetitive):
        for key in value.repeated:
            yield Problem(pointer=f"{pointer}/{escaped(key)}", expected="expected each key once in an object")
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _repeated(item, f"{pointer}/{escaped(key)}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _repeated(item, f"{pointer}/{i}")


def _all_problems(type_: type, value: object, first: msgspec.ValidationError) -> list[Problem]:
    if is_too_deep(value):
        return [Problem(pointer="", expected=f"expected a document nested at most {MAX_DEPTH} deep")]
    # A rule msgspec knows and JSON Schema cannot express leaves no other problem than msgspec's own words.
    return problems_of(schema_of(type_), value) or [Problem(pointer="", expected=shortened(str(first)))]
