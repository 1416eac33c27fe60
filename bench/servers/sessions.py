"""ONNX Runtime in the server's own process, and the binary tensor extension in as few lines as it takes.

Shared by the servers that are written here. One thread and no spinning, as edged has it: what is compared is the way to the model.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

NUMPY: Final = {"FP32": np.float32, "INT64": np.int64, "INT32": np.int32}
DATATYPES: Final = {"float32": "FP32", "int64": "INT64", "int32": "INT32"}
HEADER_LENGTH: Final = "Inference-Header-Content-Length"


def read_sessions(arguments: Sequence[str]) -> dict[str, Any]:
    """Load the models of a command line, ``NAME=FILE``."""
    return {name: new_session(Path(path)) for name, _, path in (argument.partition("=") for argument in arguments)}


def new_session(path: Path) -> Any:
    """Load one model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def answer_json(session: Any, head: dict[str, Any]) -> dict[str, Any]:
    """Run one request that is all JSON; for frameworks that read and write the JSON themselves."""
    feed = {
        tensor["name"]: np.array(tensor["data"], dtype=NUMPY[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in head["inputs"]
    }
    names = [output.name for output in session.get_outputs()]
    results = zip(names, session.run(names, feed), strict=True)
    return {
        "outputs": [
            {
                "name": name,
                "datatype": DATATYPES[str(array.dtype)],
                "shape": list(array.shape),
                "data": array.ravel().tolist(),
            }
            for name, array in results
        ]
    }


def answer(session: Any, body: bytes, header_length: str | None) -> tuple[bytes, dict[str, str]]:
    """Run one request; returns the body and headers of the answer."""
    if header_length is None:
        return json.dumps(answer_json(session, json.loads(body))).encode(), {"Content-Type": "application/json"}
    split = int(header_length)
    feed = {}
    for tensor in json.loads(body[:split])["inputs"]:
        shape = tensor["shape"]
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(body, dtype=NUMPY[tensor["datatype"]], count=count, offset=split)
        feed[tensor["name"]] = array.reshape(shape)
        split += tensor["parameters"]["binary_data_size"]
    names = [output.name for output in session.get_outputs()]
    results = dict(zip(names, session.run(names, feed), strict=True))
    outputs = [
        {
            "name": name,
            "datatype": DATATYPES[str(array.dtype)],
            "shape": array.shape,
            "parameters": {"binary_data_size": array.nbytes},
        }
        for name, array in results.items()
    ]
    text = json.dumps({"outputs": outputs}).encode()
    answer_body = b"".join([text, *(array.tobytes() for array in results.values())])
    return answer_body, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}
