"""The models that are measured: three from packages on PyPI, pinned by digest, and one that is made here.

Only the model files of those packages are used, nothing of them is installed. Their licences allow it: silero-vad is MIT, magika and
rapidocr are Apache-2.0.
"""

import hashlib
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

with warnings.catch_warnings():
    # Debian 13's protobuf warns about itself when it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from onnx import TensorProto, helper

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model file and one request to it."""

    name: str
    path: Path
    inputs: Arrays
    state: Mapping[str, str]
    """Inputs that are the last request's outputs, for the bundle's manifest."""
    licence: str
    source: str
    max_rows: int = 0
    """Rows of one run that edged may put together from several requests, where the model's first axis is free; 0 for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packaged:
    requirement: str
    member: str
    sha256: str


_PACKAGED: Final[Mapping[str, _Packaged]] = {
    "silero": _Packaged(
        requirement="silero-vad==6.2.3",
        member="silero_vad/data/silero_vad.onnx",
        sha256="1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    ),
    "magika": _Packaged(
        requirement="magika==1.0.3",
        member="magika/models/standard_v3_3/model.onnx",
        sha256="fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
    ),
    "detector": _Packaged(
        requirement="rapidocr-onnxruntime==1.4.4",
        member="rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        sha256="d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
    ),
}


def read_models(cache: Path) -> list[Model]:
    """Return every model, fetched into ``cache`` the first time.

    Raises:
        subprocess.CalledProcessError: A package cannot be had.
        ValueError: A file is not the one that is pinned here.
    """
    cache.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed=7)
    return [
        Model(
            name="silero",
            path=_fetch("silero", cache),
            inputs={
                "input": random.normal(0, 0.1, (1, 576)).astype(np.float32),
                "state": np.zeros((2, 1, 128), dtype=np.float32),
                "sr": np.array(16000, dtype=np.int64),
            },
            state={"state": "stateN"},
            licence="MIT",
            source="PyPI silero-vad 6.2.3",
        ),
        Model(
            name="magika",
            path=_fetch("magika", cache),
            inputs={"bytes": random.integers(0, 256, (1, 2048)).astype(np.int32)},
            state={},
            licence="Apache-2.0",
            source="PyPI magika 1.0.3",
            max_rows=2,
        ),
        Model(
            name="detector",
            path=_fetch("detector", cache),
            inputs={"x": random.normal(0, 1, (1, 3, 320, 320)).astype(np.float32)},
            state={},
            licence="Apache-2.0",
            source="PyPI rapidocr-onnxruntime 1.4.4",
        ),
        Model(
            name="reduction",
            path=_make_reduction(cache),
            inputs={"frame": random.random((1, 3, 640, 640), dtype=np.float32)},
            state={},
            licence="Apache-2.0",
            source="made by bench/models.py",
        ),
    ]


def _fetch(name: str, cache: Path) -> Path:
    wanted = _PACKAGED[name]
    path = cache / f"{name}.onnx"
    if not path.exists():
        wheels = cache / "wheels"
        print(f"fetching {wanted.requirement} for its model", flush=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        # Magika's wheels are made for each platform; its pure one has no compiled part, and the model is the same.
        subprocess.run([*pip, "--dest", str(wheels), wanted.requirement], check=True)  # noqa: S603 - fixed arguments
        stem = wanted.requirement.partition("==")[0].replace("-", "_")
        (wheel,) = wheels.glob(f"{stem}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            path.write_bytes(archive.read(wanted.member))
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != wanted.sha256:
        raise ValueError(f"{path} hashes to {found}, {wanted.sha256} is pinned; remove it and run again")
    return path


def _make_reduction(cache: Path) -> Path:
    """Make a model that reads 4.9 MB and gives 12 bytes, so that moving the tensor is nearly all there is."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["frame"], ["mean"], axes=[2, 3], keepdims=0)],
        "reduction",
        [helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, 640, 640])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = cache / "reduction.onnx"
    path.write_bytes(model.SerializeToString())
    return path
