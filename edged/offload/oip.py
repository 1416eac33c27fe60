"""A request to an endpoint, and its answer, as the Open Inference Protocol v2 writes them. Pure.

The answer comes from outside and may say anything. What is taken from it are the outputs that were asked for, by their names, when datatype
and shape are what the model's manifest says; everything else in it is passed over, and none of it is quoted in errors.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec

from edged.api.oip.data import check_binary, check_elements, data_from_json
from edged.errors import EdgedError
from edged.offload.messages import Ask, MessageError, Placed
from edged.pipeline.datatypes import Buffer
from edged.pipeline.spec import MAX_AXIS, TensorSpec
from edged.runtime.tensors import Tensor, check_spec, check_tensor

HEADER_LENGTH: Final = "Inference-Header-Content-Length"


class _Parameters(msgspec.Struct, frozen=True):
    binary_data_size: Annotated[int, msgspec.Meta(ge=0)] | None = None


class _Output(msgspec.Struct, frozen=True):
    name: str
    datatype: str
    shape: Annotated[list[Annotated[int, msgspec.Meta(ge=0, lt=MAX_AXIS)]], msgspec.Meta(max_length=8)]
    data: msgspec.Raw = msgspec.Raw(b"")
    parameters: _Parameters = _Parameters()


class _Answer(msgspec.Struct, frozen=True):
    outputs: list[_Output]


def write_request(ask: Ask, tensors: Sequence[Buffer]) -> tuple[bytes, int]:
    """Write a request's body; returns it, and the length of its JSON.

    Args:
        ask: What is wanted.
        tensors: The bytes of its inputs.
    """
    document: dict[str, Any] = {
        "inputs": [
            {
                "name": tensor.name,
                "datatype": tensor.dtype,
                "shape": tensor.shape,
                "parameters": {"binary_data_size": tensor.size},
            }
            for tensor in ask.inputs
        ],
        "outputs": [{"name": output.name, "parameters": {"binary_data": True}} for output in ask.outputs],
        "parameters": {"binary_data_output": True},
    }
    text = msgspec.json.encode(document)
    return b"".join((text, *tensors)), len(text)


def read_answer(body: bytes, header_length: int | None, wanted: Sequence[TensorSpec]) -> list[Tensor]:
    """Read an answer's body.

    Args:
        body: All of it.
        header_length: Of its JSON; None when it is all JSON.
        wanted: The outputs that were asked for.

    Returns:
        The outputs in the order of ``wanted``.

    Raises:
        MessageError: It is no answer to that request.
    """
    length = len(body) if header_length is None else header_length
    if length > len(body):
        raise MessageError("its JSON is said to be longer than its body")
    try:
        answer = msgspec.json.decode(body[:length], type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise MessageError("its body is no answer of the Open Inference Protocol") from exc
    specs = {spec.name: spec for spec in wanted}
    found: dict[str, Tensor] = {}
    rest = memoryview(body)[length:]
    for output in answer.outputs:
        size = output.parameters.binary_data_size
        if size is not None:
            if size > len(rest):
                raise MessageError("it has fewer bytes than it says")
            data, rest = rest[:size], rest[size:]
        if (spec := specs.get(output.name)) is not None:
            if output.name in found:
                raise MessageError(f"it has output {spec.name} twice")
            found[spec.name] = _tensor(output, spec, None if size is None else data)
    if rest:
        raise MessageError("it has bytes that belong to no output")
    if missing := [spec.name for spec in wanted if spec.name not in found]:
        raise MessageError(f"it lacks output {missing[0]}")
    return [found[spec.name] for spec in wanted]


def placed(tensor: Tensor) -> Placed:
    """Describe a tensor whose bytes follow."""
    return Placed(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, size=memoryview(tensor.data).nbytes)


def _tensor(output: _Output, spec: TensorSpec, data: memoryview | None) -> Tensor:
    shape = tuple(output.shape)
    try:
        if output.datatype != spec.dtype:
            raise MessageError(f"output {spec.name} is of another datatype than {spec.dtype}")
        check_spec(Tensor(name=spec.name, dtype=spec.dtype, shape=shape, data=b""), spec)
        check_elements(spec.dtype, _count(shape), "")
        if data is None:
            tensor = Tensor(
                name=spec.name,
                dtype=spec.dtype,
                shape=shape,
                data=data_from_json(output.data, spec.dtype, shape, ""),
            )
        else:
            check_binary(data, spec.dtype, shape, "")
            tensor = Tensor(name=spec.name, dtype=spec.dtype, shape=shape, data=data)
        check_tensor(tensor)
    except (EdgedError, msgspec.DecodeError) as exc:
        raise MessageError(f"output {spec.name} is not {spec}") from exc
    return tensor


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for axis in shape:
        count *= axis
    return count
