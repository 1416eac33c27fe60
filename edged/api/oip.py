"""Read inference requests and write their answers: Open Inference Protocol v2 with the binary tensor data extension. Pure.

A request is a JSON object, alone or followed by the bytes of its tensors; the header ``Inference-Header-Content-Length`` then says
where the object ends. A value of 0 means that the body is nothing but the one input of the model: all of it is the one element where
that is BYTES (without a length before it), and its size decides the free axis where there is exactly one. Such a request asks for its
outputs as JSON.

Rules this reader adds to the specification:

- Members it does not know are refused with their JSON pointer: a misspelled ``binary_data`` must not silently change the answer.
- ``parameters`` are different, and open: see ``edged.api.oip_parameters``.
- Priority is read and checked, as a client may always send it; nothing here orders by it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from edged.api.oip_data import Buffer, check_binary, data_from_json, data_to_json, item_size, json_pointer, pack_bytes
from edged.api.oip_parameters import Parameters, boolean, check_parameters, integer
from edged.api.ports import Answer, ModelView
from edged.codec import Document
from edged.errors import BodyTooLargeError, RequestError, TensorError
from edged.pipeline.spec import Datatype, TensorSpec
from edged.runtime.tensors import Tensor

HEADER_LENGTH: Final = "Inference-Header-Content-Length"

MAX_JSON_BYTES: Final = 8 << 20
"""Longest JSON part. Reading it stops everything else for some 20 ns a byte, and its values take up to 16 times its size."""


class _Input(Document, frozen=True, kw_only=True):
    name: str
    shape: tuple[Annotated[int, msgspec.Meta(ge=0, le=1 << 48)], ...]
    datatype: Datatype
    parameters: Parameters = msgspec.field(default_factory=dict)
    data: msgspec.Raw = msgspec.Raw()


class _Output(Document, frozen=True, kw_only=True):
    name: str
    parameters: Parameters = msgspec.field(default_factory=dict)


class _Request(Document, frozen=True, kw_only=True):
    inputs: tuple[_Input, ...]
    outputs: tuple[_Output, ...] = ()
    id: str = ""
    parameters: Parameters = msgspec.field(default_factory=dict)


_REQUEST: Final = msgspec.json.Decoder(_Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedOutput:
    """An output to give back, and in which form."""

    name: str
    is_binary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A request that fits its model."""

    id: str = ""
    inputs: Sequence[Tensor]
    outputs: Sequence[WantedOutput]
    """In the order of the answer; never empty."""
    timeout_s: float | None = None
    """What the caller asks for; None leaves it to the server."""
    priority: int = 0
    """1 is the most urgent; 0 is no wish."""


def parse_header_length(text: str | None, body_size: int) -> int | None:
    """Read the ``Inference-Header-Content-Length`` header.

    Args:
        text: Its value; None when there is no such header.
        body_size: Bytes in the body.

    Raises:
        RequestError: It is not a number of bytes, or more than the body has.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or int(text) > body_size:
        raise RequestError(f"{HEADER_LENGTH} is not a number of bytes of the body, which has {body_size}.")
    return int(text)


def parse_request(body: Buffer, header_length: int | None, view: ModelView) -> ParsedRequest:
    """Read an inference request and check it against its model.

    Args:
        body: The whole body. Binary tensors of the result are views of it.
        header_length: Bytes of JSON at its start; None when it is all JSON, 0 when it is all tensor.
        view: The model.

    Raises:
        RequestError: The request is not well formed.
        TensorError: A tensor is not one the model takes.
        BodyTooLargeError: The JSON part is too long.
    """
    content = memoryview(body)
    if header_length == 0:
        return ParsedRequest(inputs=[_raw_input(content, view)], outputs=_wanted(_Request(inputs=()), view))
    text, rest = (
        (content, memoryview(b"")) if header_length is None else (content[:header_length], content[header_length:])
    )
    request = _decode(text)
    check_parameters(request.parameters)
    timeout_us = integer(request.parameters, "timeout")
    return ParsedRequest(
        id=request.id,
        inputs=_inputs(request.inputs, rest, view),
        outputs=_wanted(request, view),
        timeout_s=timeout_us / 1e6 if timeout_us else None,
        priority=integer(request.parameters, "priority"),
    )


def build_response(request: ParsedRequest, answer: Answer) -> tuple[list[Buffer], int | None]:
    """Write the answer to a request.

    Args:
        request: What was asked.
        answer: The outputs asked for, in any order, and the model that gave them.

    Returns:
        The parts of the body in order, and the value of ``Inference-Header-Content-Length``; None when the body is all JSON.

    Raises:
        RequestError: An output was asked for as JSON and has values JSON cannot say.
    """
    tensors = {tensor.name: tensor for tensor in answer.result.outputs}
    outputs: list[dict[str, Any]] = []
    parts: list[Buffer] = []
    for wanted in request.outputs:
        tensor = tensors[wanted.name]
        member: dict[str, Any] = {"name": tensor.name, "datatype": tensor.dtype, "shape": tensor.shape}
        if wanted.is_binary:
            parts.append(tensor.data)
            member["parameters"] = {"binary_data_size": len(tensor.data)}
        else:
            member["data"] = data_to_json(tensor.data, tensor.dtype, tensor.name)
        outputs.append(member)
    head = {
        "model_name": answer.model.name,
        "model_version": str(answer.model.version),
        **({"id": request.id} if request.id else {}),
        "parameters": {"variant": answer.model.variant},
        "outputs": outputs,
    }
    text = msgspec.json.encode(head)
    return [text, *parts], len(text) if parts else None


def _decode(text: memoryview) -> _Request:
    if len(text) > MAX_JSON_BYTES:
        raise BodyTooLargeError(
            f"The JSON part has {len(text)} bytes; at most {MAX_JSON_BYTES} are taken.",
            hint="Send large tensors as bytes.",
        )
    try:
        return _REQUEST.decode(text)
    except msgspec.ValidationError as exc:
        raise RequestError(f"Not an inference request: {str(exc)[:200]}.", pointer=json_pointer(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise RequestError(f"Not JSON: {exc}.") from exc


def _inputs(inputs: Sequence[_Input], rest: memoryview, view: ModelView) -> list[Tensor]:
    specs = _specs_for(inputs, view)
    tensors: dict[str, Tensor] = {}
    for i, item in enumerate(inputs):
        pointer = f"/inputs/{i}"
        spec = specs.get(item.name)
        if spec is None:
            raise TensorError(
                f"The model has no input {item.name[:128]!r}; it has {_names(specs)}.", pointer=f"{pointer}/name"
            )
        if item.name in tensors:
            raise TensorError(f"Input {item.name!r} is there twice.", pointer=f"{pointer}/name")
        check_parameters(item.parameters, pointer)
        _check_spec(item, spec, pointer)
        size = _binary_size(item, rest, pointer)
        if size is None:
            data: Buffer = data_from_json(item.data, item.datatype, item.shape, f"{pointer}/data")
        else:
            data, rest = rest[:size], rest[size:]
            check_binary(data, item.datatype, item.shape, pointer)
        tensors[item.name] = Tensor(name=item.name, dtype=item.datatype, shape=item.shape, data=data)
    if missing := specs.keys() - tensors.keys():
        raise TensorError(f"The request lacks {_names(sorted(missing))}.", pointer="/inputs")
    if len(rest):
        raise RequestError(f"{len(rest)} bytes after the last tensor belong to no input.")
    return list(tensors.values())


def _specs_for(inputs: Sequence[_Input], view: ModelView) -> Mapping[str, TensorSpec]:
    """Choose between the pipeline's inputs and the model's own: the first whose names and datatypes the request has, else the former."""
    sent = {item.name: item.datatype for item in inputs}
    for specs in (view.inputs, view.raw_inputs):
        if {spec.name: spec.dtype for spec in specs} == sent:
            return {spec.name: spec for spec in specs}
    names = sent.keys()
    is_raw = not names & {spec.name for spec in view.inputs} and names & {spec.name for spec in view.raw_inputs}
    return {spec.name: spec for spec in (view.raw_inputs if is_raw else view.inputs)}


def _check_spec(item: _Input, spec: TensorSpec, pointer: str) -> None:
    if item.datatype != spec.dtype:
        raise TensorError(f"Input {spec.name!r} is {spec.dtype}, not {item.datatype}.", pointer=f"{pointer}/datatype")
    if len(item.shape) != len(spec.shape) or any(
        axis not in {-1, size} for axis, size in zip(spec.shape, item.shape, strict=True)
    ):
        expected = f"Input {spec.name!r} has shape {list(spec.shape)} (-1 is any size)"
        raise TensorError(f"{expected}, not {list(item.shape[:16])}.", pointer=f"{pointer}/shape")


def _binary_size(item: _Input, rest: memoryview, pointer: str) -> int | None:
    """Return how many of the remaining bytes are this tensor; None when it is in the JSON."""
    has_data = memoryview(item.data).nbytes > 0
    if "binary_data_size" not in item.parameters:
        if not has_data:
            raise TensorError(f"Input {item.name!r} has neither data nor binary_data_size.", pointer=pointer)
        return None
    where = f"{pointer}/parameters/binary_data_size"
    size = integer(item.parameters, "binary_data_size", pointer)
    if has_data:
        raise TensorError(f"Input {item.name!r} has data and binary_data_size; it is one or the other.", pointer=where)
    if size > len(rest):
        raise TensorError(
            f"Input {item.name!r} is said to have {size} bytes; {len(rest)} are left after the JSON.",
            pointer=where,
            hint=f"{HEADER_LENGTH} has to give the length of the JSON.",
        )
    return size


def _wanted(request: _Request, view: ModelView) -> list[WantedOutput]:
    default = boolean(request.parameters, "binary_data_output", default=False)
    known = [spec.name for spec in view.outputs]
    if not request.outputs:
        return [WantedOutput(name=name, is_binary=default) for name in known]
    wanted: dict[str, WantedOutput] = {}
    for i, item in enumerate(request.outputs):
        pointer = f"/outputs/{i}"
        if item.name not in known:
            raise TensorError(
                f"The model has no output {item.name[:128]!r}; it has {_names(known)}.", pointer=f"{pointer}/name"
            )
        if item.name in wanted:
            raise TensorError(f"Output {item.name!r} is there twice.", pointer=f"{pointer}/name")
        check_parameters(item.parameters, pointer)
        is_binary = boolean(item.parameters, "binary_data", pointer, default=default)
        wanted[item.name] = WantedOutput(name=item.name, is_binary=is_binary)
    return list(wanted.values())


def _raw_input(body: memoryview, view: ModelView) -> Tensor:
    if len(view.inputs) != 1:
        raise RequestError(f"A body without JSON is for models with one input; this one has {len(view.inputs)}.")
    spec = view.inputs[0]
    free = spec.shape.count(-1)
    known = math.prod(axis for axis in spec.shape if axis != -1)
    if spec.dtype == "BYTES":
        if known != 1:
            raise TensorError(f"A body without JSON is one element; input {spec.name!r} has {known}.")
        return Tensor(name=spec.name, dtype="BYTES", shape=(1,) * len(spec.shape), data=pack_bytes([body]))
    row_bytes = known * item_size(spec.dtype)
    if free > 1 or (free == 1 and row_bytes == 0):
        raise TensorError(
            f"The size of a body cannot decide shape {list(spec.shape)} of input {spec.name!r}; send JSON with a shape."
        )
    if free == 1 and len(body) % row_bytes:
        raise TensorError(f"The body has {len(body)} bytes; input {spec.name!r} takes a multiple of {row_bytes}.")
    shape = tuple(len(body) // row_bytes if axis == -1 else axis for axis in spec.shape)
    check_binary(body, spec.dtype, shape, "")
    return Tensor(name=spec.name, dtype=spec.dtype, shape=shape, data=body)


def _names(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
