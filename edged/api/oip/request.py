"""Read inference requests: Open Inference Protocol v2 with the binary tensor data extension. Pure.

A request is a JSON object, alone or followed by the bytes of its tensors; the header ``Inference-Header-Content-Length`` then says
where the object ends. A value of 0 means that the body is nothing but the one input of the model: all of it is the one element where
that is BYTES (without a length before it), and its size decides the free axis where there is exactly one. Such a request asks for its
outputs as JSON.

Rules this reader adds to the specification:

- Members it does not know are refused with their JSON pointer: a misspelled ``binary_data`` must not silently change the answer.
- ``parameters`` are different, and open: see ``edged.api.oip.parameters``.
- Within a sequence edged itself fills in the model's states, so a request that sends one is refused.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from edged.api.oip.body import Body
from edged.api.oip.data import check_binary, data_from_json, json_pointer
from edged.api.oip.parameters import NO_WISHES, Wishes, boolean, check_parameters, integer, read_wishes
from edged.api.oip.schemas import InferInput, InferRequest, RequestedOutput
from edged.api.ports import ModelView
from edged.errors import BodyTooLargeError, RequestError, TensorError
from edged.pipeline.datatypes import NUMBERS, Buffer
from edged.pipeline.spec import Datatype, TensorSpec
from edged.runtime.tensors import Tensor, fits

HEADER_LENGTH: Final = "Inference-Header-Content-Length"

MAX_JSON_BYTES: Final = 8 << 20
"""Longest JSON part. Reading it stops everything else for some 20 ns a byte, and its values take up to 16 times its size."""
MAX_REMEMBERED_BYTES: Final = 4096
MOST_REMEMBERED: Final = 64


_REQUEST: Final = msgspec.json.Decoder(InferRequest)
_NO_DATA: Final = msgspec.Raw()


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
    wishes: Wishes = NO_WISHES


class RequestReader:
    """Reads requests, and remembers the JSON of the last ones.

    An app that asks again sends the same JSON before other bytes: what is said of tensors of numbers, and which outputs are wanted,
    needs to be read and checked once. What depends on the bytes themselves (BYTES, BOOL, and data within the JSON) is not remembered.
    """

    def __init__(self) -> None:
        self._plans: dict[bytes, _Plan] = {}

    def read(self, body: Body, header_length: int | None, view: ModelView) -> ParsedRequest:
        """Read a request; as ``parse_request``."""
        if not header_length or header_length > MAX_REMEMBERED_BYTES:
            return parse_request(body, header_length, view)
        text = bytes(body.content[:header_length])
        plan = self._plans.get(text)
        if plan is not None and plan.view is view and plan.size == len(body.content):
            return plan.apply(body)
        request = parse_request(body, header_length, view)
        if not request.id and all(tensor.dtype not in {"BYTES", "BOOL"} for tensor in request.inputs):
            self._remember(text, _Plan(request, body, header_length, view))
        return request

    def _remember(self, text: bytes, plan: "_Plan") -> None:
        if len(self._plans) >= MOST_REMEMBERED:
            self._plans.clear()
        self._plans[text] = plan


class _Plan:
    """A request without its bytes."""

    __slots__ = ("_outputs", "_tensors", "_wishes", "size", "view")

    def __init__(self, request: ParsedRequest, body: Body, start: int, view: ModelView) -> None:
        self.view = view
        self.size = len(body.content)
        self._outputs, self._wishes = request.outputs, request.wishes
        self._tensors: list[tuple[str, Datatype, tuple[int, ...], int, int]] = []
        for tensor in request.inputs:
            end = start + memoryview(tensor.data).nbytes
            self._tensors.append((tensor.name, tensor.dtype, tensor.shape, start, end))
            start = end
        # Data within the JSON would have left no bytes for it after the JSON.
        self.size = self.size if start == self.size else -1

    def apply(self, body: Body) -> ParsedRequest:
        content = body.content
        inputs = [
            Tensor(name=name, dtype=dtype, shape=shape, data=content[start:end], at=body.place(start))
            for name, dtype, shape, start, end in self._tensors
        ]
        return ParsedRequest(inputs=inputs, outputs=self._outputs, wishes=self._wishes)


def parse_header_length(text: bytes | None, body_size: int) -> int | None:
    """Read the ``Inference-Header-Content-Length`` header.

    Args:
        text: Its value; None when there is no such header.
        body_size: Bytes in the body.

    Raises:
        RequestError: It is not a number of bytes, or more than the body has.
    """
    if text is None:
        return None
    if not (text.isdigit() and len(text) <= 18) or int(text) > body_size:
        raise RequestError(f"{HEADER_LENGTH} is not a number of bytes of the body, which has {body_size}.")
    return int(text)


def parse_request(body: Body, header_length: int | None, view: ModelView) -> ParsedRequest:
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
    if header_length == 0:
        return ParsedRequest(inputs=[_bare_input(body, view)], outputs=_wanted((), view, is_binary=False))
    end = len(body.content) if header_length is None else header_length
    request = _decode(body.content[:end])
    if request.model_name and request.model_name != view.name:
        raise RequestError(
            f"The path asks for model {view.name!r}, the body for {request.model_name[:128]!r}.", pointer="/model_name"
        )
    wishes = read_wishes(request.parameters, has_state=bool(view.state_inputs))
    return ParsedRequest(
        id=request.id,
        inputs=_inputs(request.inputs, body, end, _specs_for(request.inputs, wishes, view)),
        outputs=_wanted(request.outputs, view, is_binary=wishes.is_binary),
        wishes=wishes,
    )


def _decode(text: memoryview) -> InferRequest:
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


def _inputs(inputs: Sequence[InferInput], body: Body, end: int, specs: Mapping[str, TensorSpec]) -> list[Tensor]:
    """Check each input against what the model takes; binary ones follow each other in the body, from ``end`` on."""
    tensors: dict[str, Tensor] = {}
    for i, item in enumerate(inputs):
        pointer = f"/inputs/{i}"
        spec = specs.get(item.name)
        if spec is None:
            raise TensorError(
                f"The model has no input {item.name[:128]!r} here; it has {_names(specs)}.", pointer=f"{pointer}/name"
            )
        if item.name in tensors:
            raise TensorError(f"Input {item.name!r} is there twice.", pointer=f"{pointer}/name")
        check_parameters(item.parameters, pointer)
        _check_spec(item, spec, pointer)
        size = _binary_size(item, len(body.content) - end, pointer)
        if size is None:
            data: Buffer = data_from_json(item.data, item.datatype, item.shape, f"{pointer}/data")
            at = None
        else:
            at = body.place(end)
            data = body.content[end : end + size]
            end += size
            check_binary(data, item.datatype, item.shape, pointer)
        tensors[item.name] = Tensor(name=item.name, dtype=item.datatype, shape=item.shape, data=data, at=at)
    if len(tensors) < len(specs):
        raise TensorError(f"The request lacks {_names(sorted(specs.keys() - tensors.keys()))}.", pointer="/inputs")
    if end < len(body.content):
        raise RequestError(f"{len(body.content) - end} bytes after the last tensor belong to no input.")
    return list(tensors.values())


def _specs_for(inputs: Sequence[InferInput], wishes: Wishes, view: ModelView) -> Mapping[str, TensorSpec]:
    """Choose between the pipeline's inputs and the model's own: the first whose names and datatypes the request has, else the former."""
    filled_in = view.state_inputs if wishes.sequence is not None else frozenset[str]()
    candidates: list[Mapping[str, TensorSpec]] = []
    for specs in (view.inputs, view.raw_inputs):
        candidate = {spec.name: spec for spec in specs if spec.name not in filled_in}
        if len(candidate) == len(inputs) and all(
            (spec := candidate.get(item.name)) is not None and spec.dtype == item.datatype for item in inputs
        ):
            return candidate
        candidates.append(candidate)
    for i, item in enumerate(inputs):
        if item.name in filled_in:
            raise TensorError(
                f"Input {item.name!r} is a state, which edged itself keeps within a sequence; leave it out.",
                pointer=f"/inputs/{i}/name",
            )
    whole, raw = candidates
    names = {item.name for item in inputs}
    return raw if not names & whole.keys() and names & raw.keys() else whole


def _check_spec(item: InferInput, spec: TensorSpec, pointer: str) -> None:
    if item.datatype != spec.dtype:
        raise TensorError(f"Input {spec.name!r} is {spec.dtype}, not {item.datatype}.", pointer=f"{pointer}/datatype")
    if item.shape != spec.shape and not fits(item.shape, spec.shape):
        expected = f"Input {spec.name!r} has shape {list(spec.shape)} (-1 is any size)"
        raise TensorError(f"{expected}, not {list(item.shape[:16])}.", pointer=f"{pointer}/shape")


def _binary_size(item: InferInput, left: int, pointer: str) -> int | None:
    """Return how many of the ``left`` bytes of the body are this tensor; None when it is in the JSON."""
    has_data = item.data != _NO_DATA
    if "binary_data_size" not in item.parameters:
        if not has_data:
            raise TensorError(f"Input {item.name!r} has neither data nor binary_data_size.", pointer=pointer)
        return None
    where = f"{pointer}/parameters/binary_data_size"
    size = integer(item.parameters, "binary_data_size", pointer)
    if has_data:
        raise TensorError(f"Input {item.name!r} has data and binary_data_size; it is one or the other.", pointer=where)
    if size > left:
        raise TensorError(
            f"Input {item.name!r} is said to have {size} bytes; {left} are left after the JSON.",
            pointer=where,
            hint=f"{HEADER_LENGTH} has to give the length of the JSON.",
        )
    return size


def _wanted(outputs: Sequence[RequestedOutput], view: ModelView, *, is_binary: bool) -> list[WantedOutput]:
    """Check the outputs asked for, none of which means all; ``is_binary`` holds for those that do not say."""
    if not outputs:
        return [WantedOutput(name=spec.name, is_binary=is_binary) for spec in view.outputs]
    known = [spec.name for spec in view.outputs]
    wanted: dict[str, WantedOutput] = {}
    for i, item in enumerate(outputs):
        pointer = f"/outputs/{i}"
        if item.name not in known:
            raise TensorError(
                f"The model has no output {item.name[:128]!r}; it has {_names(known)}.", pointer=f"{pointer}/name"
            )
        if item.name in wanted:
            raise TensorError(f"Output {item.name!r} is there twice.", pointer=f"{pointer}/name")
        check_parameters(item.parameters, pointer)
        wanted[item.name] = WantedOutput(
            name=item.name, is_binary=boolean(item.parameters, "binary_data", pointer, default=is_binary)
        )
    return list(wanted.values())


def _bare_input(body: Body, view: ModelView) -> Tensor:
    if len(view.inputs) != 1:
        raise RequestError(f"A body without JSON is for models with one input; this one has {len(view.inputs)}.")
    spec = view.inputs[0]
    size = len(body.content)
    free = spec.shape.count(-1)
    known = math.prod(axis for axis in spec.shape if axis != -1)
    if spec.dtype == "BYTES":
        if known != 1:
            raise TensorError(f"A body without JSON is one element; input {spec.name!r} has {known}.")
        data, at = body.as_element()
        return Tensor(name=spec.name, dtype="BYTES", shape=(1,) * len(spec.shape), data=data, at=at)
    row_bytes = known * NUMBERS[spec.dtype].size_bytes
    if free > 1 or (free == 1 and row_bytes == 0):
        raise TensorError(
            f"The size of a body cannot decide shape {list(spec.shape)} of input {spec.name!r}; send JSON with a shape."
        )
    if free == 1 and size % row_bytes:
        raise TensorError(f"The body has {size} bytes; input {spec.name!r} takes a multiple of {row_bytes}.")
    shape = tuple(size // row_bytes if axis == -1 else axis for axis in spec.shape)
    check_binary(body.content, spec.dtype, shape, "")
    return Tensor(name=spec.name, dtype=spec.dtype, shape=shape, data=body.content, at=body.place(0))


def _names(names: Mapping[str, object] | Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)
