"""The tensor socket's golden messages, and the script that writes their bytes down: ``python -m tests.golden.tensor_socket.renew``.

``vectors.json`` has each message as its fields and as the datagram, in hexadecimal. It is for writers of clients in other languages, and
changes only with the protocol's version: a renewed file that differs is a protocol that differs.
"""

import json
from dataclasses import asdict
from pathlib import Path

from edged.tensor_socket import (
    Datatype,
    Error,
    Infer,
    Kind,
    Notice,
    Open,
    Opened,
    Placed,
    Result,
    Room,
    TensorEntry,
    encode,
)

PATH = Path(__file__).with_name("vectors.json")

TO_SERVER = {
    "open": Open(model="magika"),
    "open-background-version": Open(model="magika", version="1.0.0", is_background=True),
    "open-scales": Open(model="magika", wants_scales=True),
    "infer": Infer(
        request=1,
        inputs=(Placed(index=0, shape=(1, 4), offset=0, size=16),),
        outputs=(Room(index=0, offset=4096, capacity=4096),),
    ),
    "infer-sequence": Infer(
        request=0x0102030405060708,
        inputs=(
            Placed(index=1, shape=(), offset=64, size=8),
            Placed(index=2, shape=(1, 576), offset=128, size=2304),
        ),
        outputs=(Room(index=1, offset=4096, capacity=256), Room(index=0, offset=8192, capacity=0)),
        deadline_us=20_000,
        priority=1,
        sequence=77,
        is_start=True,
        is_end=True,
    ),
}
TO_CLIENT = {
    "opened": Opened(
        version="1.0.0",
        variant="magika-1.0.0-fp32-any",
        memory_bytes=1 << 20,
        deadline_us=30_000_000,
        requests_per_1000_s=50_000,
        burst=100,
        tensors=(
            TensorEntry(kind=Kind.INPUT, index=0, name="file", datatype=Datatype.BYTES, shape=(1,)),
            TensorEntry(kind=Kind.MODEL_INPUT, index=1, name="bytes", datatype=Datatype.INT32, shape=(-1, 2048)),
            TensorEntry(
                kind=Kind.MODEL_INPUT, index=2, name="état", datatype=Datatype.FP32, shape=(2, -1, 128), is_state=True
            ),
            TensorEntry(kind=Kind.OUTPUT, index=0, name="score", datatype=Datatype.FP32, shape=()),
        ),
    ),
    "opened-scale": Opened(
        version="1.0.0",
        variant="magika-1.0.0-fp32-any",
        memory_bytes=4096,
        deadline_us=30_000_000,
        tensors=(TensorEntry(kind=Kind.OUTPUT, index=0, name="score", datatype=Datatype.FP32, shape=()),),
        wanted_permille=500,
    ),
    "result": Result(request=1, run_ns=123_456, outputs=(Placed(index=0, shape=(1, 4), offset=4096, size=16),)),
    "result-scale": Result(
        request=1, run_ns=123_456, outputs=(Placed(index=0, shape=(1, 4), offset=4096, size=16),), scale_permille=500
    ),
    "error-of-connection": Error(
        status=404,
        code="model-unknown",
        message="no model magica is active on this device",
        hint="Active models: magika.",
        is_closing=True,
    ),
    "error-of-request": Error(
        request=2, status=429, code="quota-exceeded", message="too many requests", retry_after_ms=250
    ),
    "error-of-room": Error(
        request=3, status=400, code="tensor-invalid", message="output score needs 16 bytes", output=0, needed_bytes=16
    ),
    "notice": Notice(version="1.0.1", variant="magika-1.0.1-int8-any"),
    "notice-scale": Notice(version="1.0.1", variant="magika-1.0.1-int8-any", wanted_permille=333),
}


def renewed() -> str:
    """Return what ``vectors.json`` has to say."""
    vectors = [
        f'"{name}": {{\n  "type": "{type(message).__name__.upper()}",\n'
        f'  "fields": {json.dumps(asdict(message), ensure_ascii=False)},\n  "bytes": "{encode(message).hex()}"\n }}'
        for name, message in (TO_SERVER | TO_CLIENT).items()
    ]
    return "{\n " + ",\n ".join(vectors) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(renewed(), encoding="utf-8")
