"""Write the answers to inference requests: Open Inference Protocol v2 with the binary tensor data extension. Pure."""

from typing import Any

import msgspec

from edged.api.oip.data import data_to_json
from edged.api.oip.decision_summary import summarize
from edged.api.oip.request import ParsedRequest
from edged.api.ports import Answer
from edged.pipeline.datatypes import Buffer


def build_response(request: ParsedRequest, answer: Answer) -> tuple[list[Buffer], int | None]:
    """Write the answer to a request.

    Args:
        request: What was asked.
        answer: The outputs asked for, in any order, and what is said about them.

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
            member["parameters"] = {"binary_data_size": memoryview(tensor.data).nbytes}
        else:
            member["data"] = data_to_json(tensor.data, tensor.dtype, tensor.name)
        outputs.append(member)
    taken, model = answer.taken, answer.taken.model
    parameters: dict[str, str | bool | float] = {"variant": model.variant}
    if model.fallback is not None:
        parameters["fallback"] = model.fallback
    if taken.decision is not None:
        parameters["decision"] = summarize(taken.decision)
    if taken.is_offloaded:
        parameters["offloaded"] = True
    if taken.scale is not None:
        parameters["scale"] = taken.scale
    if taken.is_cached:
        parameters["cached"] = True
    if answer.result.had_features:
        parameters["features_cached"] = True
    head = {
        "model_name": model.name,
        "model_version": str(model.version),
        **({"id": request.id} if request.id else {}),
        "parameters": parameters,
        "outputs": outputs,
    }
    text = msgspec.json.encode(head)
    return [text, *parts], len(text) if parts else None
