"""The API as an OpenAPI 3.1 document, made from the table of its operations and the types of their bodies. Pure.

Rules:

1. Bodies are described by the types that handlers read and write. Bytes (tensors behind JSON, or instead of it) have no schema.
2. An operation's refusals are those of the errors it names, by their statuses in ``edged.statuses``. To these come those that every
   request can meet: what is refused before anybody looks at the path, and what nobody foresaw.
3. Every refusal has the same body.
4. What only one of the sockets has says so by servers of its own: the document is the same on both.
5. Equal code gives equal bytes: nothing depends on the time, on the order of a set, or on the version of Python.
"""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, get_args

import msgspec

from edged import __version__
from edged.api.description.operations import OPERATIONS, Bodies, Operation
from edged.api.documents.events import EVENT_TYPES, LAST_EVENT_ID
from edged.api.documents.updates import DEFAULT_ENTRIES, MOST_ENTRIES
from edged.api.http.problems import CONTENT_TYPE, ProblemBody
from edged.api.oip.request import HEADER_LENGTH
from edged.bundle.fallback import FallbackUse
from edged.ids import MODEL_NAME_PATTERN, VERSION_PATTERN
from edged.ops.flags import FLAG_PATTERN
from edged.statuses import STATUSES

_REFUSALS: Final[Mapping[int, str]] = {
    400: "The request is wrong; pointer names the place in its body.",
    403: "This may not be done: the version is stopped, or below the lowest that may run.",
    404: "There is no such model or flag, or another version of the model is active.",
    408: "The request did not arrive in time.",
    409: "The request does not fit its sequence, there are too many, or what it asks for is so already.",
    411: "A body needs a Content-Length.",
    413: "The body is too large.",
    414: "The target is too long.",
    415: "Compressed bodies are not taken.",
    417: "The only expectation known here is 100-continue.",
    422: "This request ended two workers, and is refused for a while.",
    429: "The caller asks for more than it may.",
    431: "The header fields are too many or too long.",
    500: "edged failed, or the model's worker was lost with this request.",
    501: "The method is not known here.",
    503: "The device cannot answer now: a model is loading or stopped, a queue is full.",
    504: "The request was not finished in time.",
    505: "This socket speaks HTTP/1.1.",
}
_OF_EVERY_REQUEST: Final = frozenset({400, 408, 411, 413, 414, 415, 417, 431, 500, 501, 503, 505})
_WITH_RETRY_AFTER: Final = frozenset({429, 503})

_BYTE_COUNT: Final = {"type": "integer", "minimum": 0}
_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "model": {
        "name": "model",
        "in": "path",
        "required": True,
        "description": "The model's name.",
        "schema": {"type": "string", "pattern": MODEL_NAME_PATTERN},
    },
    "version": {
        "name": "version",
        "in": "path",
        "required": True,
        "description": "The active version; no other answers.",
        "schema": {"type": "string", "pattern": VERSION_PATTERN},
    },
    "of": {
        "name": "model",
        "in": "query",
        "description": "Only what concerns this model; empty means all, and what concerns the device.",
        "schema": {"type": "string", "pattern": f"^$|{MODEL_NAME_PATTERN}"},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "The most entries to give.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_ENTRIES, "default": DEFAULT_ENTRIES},
    },
    "types": {
        "name": "types",
        "in": "query",
        "description": "Only events of these types.",
        "style": "form",
        "explode": False,
        "schema": {"type": "array", "items": {"enum": list(EVENT_TYPES)}, "minItems": 1},
    },
    "follow": {
        "name": "follow",
        "in": "query",
        "description": "Whether to wait for more; if not, the answer ends with what is known.",
        "schema": {"type": "boolean", "default": True},
    },
    LAST_EVENT_ID: {
        "name": LAST_EVENT_ID,
        "in": "header",
        "description": "The ID of the last event that the caller has: the answer begins with what came after it. "
        "0-0 is before the first event since the start.",
        "schema": {"type": "string"},
    },
    "flag": {
        "name": "flag",
        "in": "path",
        "required": True,
        "description": "The flag's name.",
        "schema": {"type": "string", "pattern": FLAG_PATTERN},
    },
    "If-None-Match": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The ETag of an earlier answer: when it would be the same, the status is 304 and there is no body.",
        "schema": {"type": "string"},
    },
    HEADER_LENGTH: {
        "name": HEADER_LENGTH,
        "in": "header",
        "description": "Bytes of JSON at the start of the body. Without this header the body is all JSON; with 0 it is all tensor: the "
        "model's one input.",
        "schema": _BYTE_COUNT,
    },
}
_HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    HEADER_LENGTH: {"description": "Bytes of JSON at the start of a body that is not all JSON.", "schema": _BYTE_COUNT},
    "Edged-Model-Version": {"description": "The version that answered.", "schema": {"type": "string"}},
    "Edged-Fallback": {
        "description": "By which rule of its manifest something else answered in the model's place; not there when the model did.",
        "schema": {"enum": list(get_args(FallbackUse))},
    },
    "Edged-Decision": {
        "description": "The rule that decided, and what it asked for, as a dictionary of structured fields (RFC 9651); not there when "
        "something else answered in the model's place.",
        "schema": {"type": "string"},
    },
    "ETag": {"description": "Changes with what is answered, for If-None-Match.", "schema": {"type": "string"}},
    "Edged-Variant": {"description": "The variant that answered.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
}

_EVERYBODY: Final = {"url": "http://localhost", "description": "HTTP/1.1 on a Unix socket; any host will do."}
_ADMINS: Final = {"url": "http://localhost", "description": "Only the administrators' socket, /run/edged/admin.sock."}

Schemas = Mapping[Any, Mapping[str, Any]]
"""By type: the schema itself, or a reference to it."""


@cache
def document() -> bytes:
    """Return the document of this version of edged."""
    return msgspec.json.encode(describe(OPERATIONS))


def describe(operations: Sequence[Operation]) -> dict[str, Any]:
    """Make the document of these operations."""
    # A dictionary, because its order is that of the operations.
    types = dict.fromkeys([ProblemBody, *(type_ for operation in operations for type_ in _types(operation))])
    references, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schemas: Schemas = dict(zip(types, references, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, schemas)
    refusals = sorted({status for operation in operations for status in _statuses(operation)})
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edged",
            "summary": "AI models on this device: the Open Inference Protocol v2, and edged's own endpoints.",
            "version": __version__,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [_EVERYBODY],
        "paths": paths,
        "components": {
            "schemas": {name: _tidy(components[name]) for name in sorted(components)},
            "parameters": _PARAMETERS,
            "headers": _HEADERS,
            "responses": {f"Refusal{status}": _refusal(status, schemas) for status in refusals},
        },
    }


def _types(operation: Operation) -> Iterator[Any]:
    for type_ in (*operation.takes.values(), *operation.answers.values()):
        if type_ is not None:
            yield type_


def _operation(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    content = _content(operation.answers, schemas)
    answer: dict[str, Any] = {"description": f"{operation.summary}.", "content": content}
    if operation.gives:
        answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in operation.gives}
    responses: dict[str, Any] = {"200": answer}
    if operation.says_unchanged:
        responses["304"] = {
            "description": "The caller has it already.",
            "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
        }
    for status in _statuses(operation):
        responses[str(status)] = {"$ref": f"#/components/responses/Refusal{status}"}
    if operation.says_unready:
        refusal = _refusal(503, schemas)
        responses["503"] = refusal | {"content": content | refusal["content"]}
    described: dict[str, Any] = {"operationId": operation.id, "summary": operation.summary}
    if operation.is_for_admins:
        described |= {"tags": ["administrators"], "servers": [_ADMINS]}
    if parameters := [{"$ref": f"#/components/parameters/{name}"} for name in _parameters(operation)]:
        described["parameters"] = parameters
    if operation.takes:
        # Not said to be required: HTTP cannot tell a missing body from an empty one, and an empty file is an input.
        described["requestBody"] = {"content": _content(operation.takes, schemas)}
    return described | {"responses": responses}


def _statuses(operation: Operation) -> list[int]:
    return sorted(_OF_EVERY_REQUEST | {STATUSES[error].value for error in operation.raises})


def _parameters(operation: Operation) -> Iterator[str]:
    for name, parameter in _PARAMETERS.items():
        if (
            name == operation.header
            or name in operation.query
            or (parameter["in"] == "path" and f"{{{name}}}" in operation.path)
        ):
            yield name


def _content(bodies: Bodies, schemas: Schemas) -> dict[str, Any]:
    return {media: {} if type_ is None else {"schema": schemas[type_]} for media, type_ in bodies.items()}


def _refusal(status: int, schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _REFUSALS[status],
        "content": {CONTENT_TYPE: {"schema": schemas[ProblemBody]}},
    }
    if status in _WITH_RETRY_AFTER:
        response["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return response


def _tidy(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Take away the indentation of docstrings, as Python itself does from 3.13 on."""
    return {key: inspect.cleandoc(value) if key == "description" else value for key, value in schema.items()}
