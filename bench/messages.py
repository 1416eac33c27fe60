"""The bytes that clients send: the same request for every server, written once and before anything is measured."""

import json
from typing import Final

from bench.models import Model

DATATYPES: Final = {"float32": "FP32", "int64": "INT64", "int32": "INT32", "float16": "FP16", "uint8": "UINT8"}


def binary_request(model: Model, host: str = "localhost") -> bytes:
    """Return an HTTP request with the binary tensor extension, whose answer is asked for in the same form."""
    parts = [array.tobytes() for array in model.inputs.values()]
    head = {
        "inputs": [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": DATATYPES[str(array.dtype)],
                "parameters": {"binary_data_size": array.nbytes},
            }
            for name, array in model.inputs.items()
        ],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return _request(model, [text, *parts], host, {"Inference-Header-Content-Length": str(len(text))})


def json_request(model: Model, host: str = "localhost") -> bytes:
    """Return an HTTP request with everything as JSON."""
    head = {
        "inputs": [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": DATATYPES[str(array.dtype)],
                "data": array.ravel().tolist(),
            }
            for name, array in model.inputs.items()
        ]
    }
    return _request(model, [json.dumps(head, separators=(",", ":")).encode()], host, {})


def _request(model: Model, body: list[bytes], host: str, headers: dict[str, str]) -> bytes:
    lines = [
        f"POST /v2/models/{model.name}/infer HTTP/1.1",
        f"Host: {host}",
        "Content-Type: " + ("application/octet-stream" if headers else "application/json"),
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {sum(map(len, body))}",
        "",
        "",
    ]
    return b"".join(["\r\n".join(lines).encode(), *body])
