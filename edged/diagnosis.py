"""What is wrong with a document that does not follow its type: every problem at once, and what to write instead.

Only documents with mistakes come here, so this may take its time: the type's JSON Schema and a full validator say what each value should
have been, and two guesses are made for people: which key was meant by one that there is not, and which number by a text with a unit.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edged.errors import Problem
from edged.ids import DIGEST_PATTERN, MODEL_NAME_PATTERN, VERSION_PATTERN
from edged.nearest import nearest
from edged.quantities import unit_of

PATTERNS: Final[Mapping[str, str]] = {
    DIGEST_PATTERN: "a SHA-256 as 64 lower-case hexadecimal digits",
    MODEL_NAME_PATTERN: "a name of lower-case letters, digits, '.', '_' and '-', at most 63, the first a letter or digit",
    VERSION_PATTERN: "a semantic version such as 1.4.0 or 2.0.0-rc.1 (semver.org)",
}
"""What texts that have to match an expression are called, where the expression says little to people. Others may be called something by
the description of their type."""

_BOUNDS: Final = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above"}
_SIZES: Final = {
    "minLength": ("at least", "character"),
    "maxLength": ("at most", "character"),
    "minItems": ("at least", "item"),
    "maxItems": ("at most", "item"),
    "minProperties": ("at least", "key"),
    "maxProperties": ("at most", "key"),
}


def problems_of(schema: dict[str, Any], value: object) -> list[Problem]:
    """Return every problem that a value has with a JSON Schema (2020-12), in the order of their places."""
    # Imported here: a document that is right never pays for the validator.
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above

    found = {
        problem
        for error in Draft202012Validator(schema).iter_errors(value)
        for leaf in _leaves(error)
        for problem in _problems(leaf)
    }
    return sorted(found, key=lambda problem: (problem.pointer, problem.expected))


def shortened(text: str, limit: int = 160) -> str:
    """Cut a text that may be of any length."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def escaped(part: str) -> str:
    """Write one part of a JSON pointer (RFC 6901, section 3)."""
    return part.replace("~", "~0").replace("/", "~1")


def _leaves(error: Any) -> list[Any]:
    """Follow a failed ``anyOf`` into the kind of value that was meant, where there can be only one."""
    if error.validator != "anyOf":
        return [error]
    branches: dict[int, list[Any]] = {}
    for child in error.context:
        branches.setdefault(child.schema_path[0], []).append(child)
    if _tags(error):
        reference = _reference(error)
        meant = [i for i, branch in enumerate(error.validator_value) if reference and branch.get("$ref") == reference]
    else:
        # What may be absent is of the other kind; nobody writes null by mistake.
        meant = [i for i, branch in enumerate(error.validator_value) if branch.get("type") != "null"]
    if len(meant) != 1:
        return [error]
    return [leaf for child in branches[meant[0]] for leaf in _leaves(child)]


def _tags(error: Any) -> tuple[str, dict[str, str]] | None:
    """Return the key that tells the kinds of a union apart, and the schema of each of its values."""
    discriminator = error.schema.get("discriminator")
    return (discriminator["propertyName"], discriminator["mapping"]) if discriminator else None


def _reference(error: Any) -> str | None:
    """Return the schema of the kind that a value says it is, None when there is no such kind."""
    tags = _tags(error)
    found = error.instance.get(tags[0]) if tags and isinstance(error.instance, dict) else None
    return tags[1].get(found) if tags and isinstance(found, str) else None


def _problems(error: Any) -> Iterator[Problem]:
    """Say what one error of the validator is; each key that is missing or too many is a problem of its own."""
    pointer = _pointer(error.absolute_path)
    match error.validator:
        case "additionalProperties":
            for key in sorted(set(error.instance) - set(error.schema.get("properties", {}))):
                yield Problem(pointer=pointer, expected=_unknown(key, error))
        case "required":
            # The validator has an error for each of them already.
            yield Problem(pointer=pointer, expected=f"expected a key {error.message.split(' is a required')[0]}")
        case "anyOf":
            yield _no_such_kind(error, pointer)
        case _:
            yield Problem(pointer=pointer, expected=_expected(error), found=shortened(repr(error.instance)))


def _expected(error: Any) -> str:
    value = error.validator_value
    if error.validator in _BOUNDS:
        return f"expected {_BOUNDS[error.validator]} {value}"
    if error.validator in _SIZES:
        bound, noun = _SIZES[error.validator]
        return f"expected {bound} {value} {noun}{'' if value == 1 else 's'}"
    match error.validator:
        case "type":
            return _expected_type(error)
        case "enum":
            return _expected_one_of(value, error.instance)
        case "pattern":
            words = PATTERNS.get(value) or error.schema.get("description") or f"a text matching {value}"
            return f"expected {words}"
        case _:
            return shortened(error.message)


def _pointer(path: Any) -> str:
    return "".join(f"/{escaped(str(part))}" for part in path)


def _expected_type(error: Any) -> str:
    kind = error.validator_value
    text = f"expected {' or '.join(kind) if isinstance(kind, list) else kind}"
    key = next((part for part in reversed(error.absolute_path) if isinstance(part, str)), "")
    unit = unit_of(key)
    if unit is None or kind not in {"number", "integer"}:
        return text
    text += f" of {unit.plural}"
    number = unit.number_in(error.instance) if isinstance(error.instance, str) else None
    return text if number is None else f"{text}; write {int(number) if number.is_integer() else number}"


def _unknown(key: str, error: Any) -> str:
    known = sorted(error.schema.get("properties", {}))
    near = nearest(key, known) or next((name for name in known if name.startswith(f"{key}_")), None)
    guess = "" if near is None else f"did you mean {near!r}? "
    return f"{shortened(repr(key))} was unexpected; {guess}known keys are {', '.join(known)}"


def _expected_one_of(allowed: list[Any], found: object) -> str:
    text = f"expected {'one of ' if len(allowed) > 1 else ''}" + ", ".join(str(value) for value in allowed)
    near = nearest(found, [v for v in allowed if isinstance(v, str)]) if isinstance(found, str) else None
    return text if near is None else f"{text}; did you mean {near!r}?"


def _no_such_kind(error: Any, pointer: str) -> Problem:
    """Name the kinds a union has: the tags of its objects, else its types."""
    tags = _tags(error)
    if tags and isinstance(error.instance, dict):
        key, kinds = tags
        if key not in error.instance:
            return Problem(pointer=pointer, expected=f"expected a key {key!r}")
        found = error.instance[key]
        return Problem(
            pointer=f"{pointer}/{key}", expected=_expected_one_of(sorted(kinds), found), found=shortened(repr(found))
        )
    types = dict.fromkeys(str(branch.get("type", "object")) for branch in error.validator_value)
    return Problem(pointer=pointer, expected=f"expected {' or '.join(types)}", found=shortened(repr(error.instance)))
