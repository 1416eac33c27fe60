"""Turn JSON and TOML documents into typed values, strictly, and name every problem at once.

The types are msgspec structs, which read fast and stop at the first problem. Only when that happens are the same types' JSON
Schema and a full validator used to list all the problems: people mend a document once, not once per mistake.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from edged.errors import DocumentError, Problem

T = TypeVar("T")


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
        raise error(source, [_not_json(exc)]) from exc
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as exc:  # msgspec met its first mistake before the place where this is no JSON
        raise error(source, [_not_json(exc)]) from exc
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


@cache
def schema_of(type_: type) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a document type."""
    return msgspec.json.schema(type_)


def _not_json(exc: Exception) -> Problem:
    return Problem(pointer="", expected="expected a JSON document", found=_short(str(exc)))


def _all_problems(type_: type, value: object, first: msgspec.ValidationError) -> list[Problem]:
    # Imported here: a document that is right never pays for the validator.
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above

    validator = Draft202012Validator(schema_of(type_))
    problems = {
        Problem(pointer=_pointer(leaf.absolute_path), expected=_expected(leaf), found=_found(leaf))
        for error in validator.iter_errors(value)
        for leaf in _leaves(error)
    }
    if not problems:  # a rule msgspec knows and JSON Schema cannot express
        return [Problem(pointer="", expected=_short(str(first)))]
    return sorted(problems, key=lambda problem: (problem.pointer, problem.expected))


def _leaves(error: Any) -> list[Any]:
    """Follow a failed ``anyOf`` into the branch that was meant: the one whose tag matches, or the one that got furthest."""
    if error.validator not in {"anyOf", "oneOf"} or not error.context:
        return [error]
    branches: dict[int, list[Any]] = {}
    for child in error.context:
        branches.setdefault(child.schema_path[0], []).append(child)
    # A branch that fails on its constant tag or on its type is another member of the union, not the one meant.
    meant = {k: v for k, v in branches.items() if not any(c.validator in {"enum", "const", "type"} for c in v)}
    if not meant:
        meant = {k: v for k, v in branches.items() if all(len(c.absolute_path) > len(error.absolute_path) for c in v)}
    if len(meant) != 1:
        return [error]
    return [leaf for child in next(iter(meant.values())) for leaf in _leaves(child)]


def _pointer(path: Any) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _expected(error: Any) -> str:
    match error.validator:
        case "type":
            return f"expected {error.validator_value}"
        case "additionalProperties":
            known = ", ".join(sorted(error.schema.get("properties", {})))
            return f"{_short(error.message)}; known keys are {known}"
        case "required":
            return f"expected a key {error.message.split(' is a required')[0]}"
        case "enum":
            return "expected one of " + ", ".join(str(v) for v in error.validator_value)
        case "pattern":
            return f"expected a text matching {error.validator_value}"
        case _:
            return _short(error.message)


def _found(error: Any) -> str:
    # A whole object says nothing beside the name of the key that is missing or too many.
    return "" if error.validator in {"required", "additionalProperties"} else _short(repr(error.instance))


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
