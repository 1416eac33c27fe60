"""Clients that others made for the Open Inference Protocol, unmodified, behind one face.

Each is brought onto a Unix socket by the same lines as in README.md. They come from PyPI only; a test that wants one that is not there
is skipped and names it. All of them block here: those that are asynchronous get a loop for each call.
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from edged.worker.arrays import datatype_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request for an inference, and in which form its tensors go each way."""

    model: str
    inputs: Mapping[str, np.ndarray]
    is_binary: bool = True
    """How inputs travel."""
    outputs: Mapping[str, bool] = field(default_factory=dict)
    """Names, and whether as bytes; none leaves it to the client."""
    version: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An output as a client gives it."""

    array: np.ndarray
    was_binary: bool


class RefusedError(Exception):
    """A client's own exception, and what of the server's answer can be had from it."""

    def __init__(self, *, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Client(Protocol):
    """What all of them can do."""

    def is_live(self) -> bool: ...

    def is_ready(self) -> bool: ...

    def is_model_ready(self, model: str) -> bool: ...

    def infer(self, ask: Ask) -> Mapping[str, Told]: ...


class TritonClient:
    """tritonclient.http, which blocks by way of gevent."""

    def __init__(self, path: Path) -> None:
        self.module = pytest.importorskip("tritonclient.http", reason="tritonclient is not in Debian")
        self.client = self.module.InferenceServerClient("localhost", concurrency=4)
        unix = (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", str(path))
        self.client._client_stub._connection_pool._resolve = lambda: [unix]

    def close(self) -> None:
        self.client.close()

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the client."""
        try:
            return getattr(self.client, method)(*args, **options)
        except self.module.InferenceServerException as exc:
            raise RefusedError(status=int(exc.status()), message=exc.message()) from exc

    def is_live(self) -> bool:
        return self.call("is_server_live")

    def is_ready(self) -> bool:
        return self.call("is_server_ready")

    def is_model_ready(self, model: str) -> bool:
        return self.call("is_model_ready", model)

    def input(self, name: str, array: np.ndarray, *, is_binary: bool = True) -> Any:
        """Return an input as the client has it."""
        item = self.module.InferInput(name, array.shape, datatype_of(array))
        return item.set_data_from_numpy(array, binary_data=is_binary)

    def infer(self, ask: Ask) -> dict[str, Told]:
        inputs = [self.input(name, array, is_binary=ask.is_binary) for name, array in ask.inputs.items()]
        outputs = [self.module.InferRequestedOutput(name, binary_data=is_it) for name, is_it in ask.outputs.items()]
        options = {"outputs": outputs, "model_version": ask.version, **ask.parameters}
        result = self.call("infer", ask.model, inputs, **options)
        return {
            output["name"]: Told(
                array=_as_bytes(result.as_numpy(output["name"])),
                was_binary="binary_data_size" in output.get("parameters", {}),
            )
            for output in result.get_response()["outputs"]
        }


class TritonAioClient(TritonClient):
    """tritonclient.http.aio, on aiohttp."""

    def __init__(self, path: Path) -> None:
        self.module = pytest.importorskip("tritonclient.http.aio", reason="tritonclient is not in Debian")
        self.path = path

    def close(self) -> None:
        pass

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        return asyncio.run(self._call(method, *args, **options))

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        import aiohttp

        async with self.module.InferenceServerClient("localhost") as client:
            client._stub._connector = aiohttp.UnixConnector(str(self.path))
            try:
                return await getattr(client, method)(*args, **options)
            except self.module.InferenceServerException as exc:
                raise RefusedError(status=int(exc.status()), message=exc.message()) from exc


class KserveClient:
    """KServe's InferenceRESTClient, on httpx."""

    def __init__(self, path: Path) -> None:
        self.module = pytest.importorskip("kserve", reason="kserve is not in Debian")
        self.path = path

    def close(self) -> None:
        pass

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the client."""
        return asyncio.run(self._call(method, *args, **options))

    async def _call(self, method: str, *args: Any, **options: Any) -> Any:
        import httpx

        config = self.module.RESTConfig(transport=httpx.AsyncHTTPTransport(uds=str(self.path)), protocol="v2")
        async with self.module.InferenceRESTClient(config) as client:
            try:
                return await getattr(client, method)("http://localhost", *args, **options)
            except httpx.HTTPStatusError as exc:
                # Its text has the body's only where the body is application/json, and a problem is application/problem+json.
                raise RefusedError(status=exc.response.status_code, message=exc.response.json()["error"]) from exc

    def is_live(self) -> bool:
        return self.call("is_server_live")

    def is_ready(self) -> bool:
        return self.call("is_server_ready")

    def is_model_ready(self, model: str) -> bool:
        return self.call("is_model_ready", model)

    def infer(self, ask: Ask) -> dict[str, Told]:
        from kserve.protocol.infer_type import RequestedOutput

        request = self.module.InferRequest(
            ask.model,
            [self._input(name, array, is_binary=ask.is_binary) for name, array in ask.inputs.items()],
            request_outputs=[RequestedOutput(name, {"binary_data": is_it}) for name, is_it in ask.outputs.items()],
            parameters=dict(ask.parameters),
        )
        response = self.call("infer", request, model_name=ask.model)
        # From an output that came as bytes the client takes binary_data_size away, and leaves the parameters that were around it.
        return {
            output.name: Told(array=_as_bytes(output.as_numpy()), was_binary=output.parameters == {})
            for output in response.outputs
        }

    def _input(self, name: str, array: np.ndarray, *, is_binary: bool) -> Any:
        item = self.module.InferInput(name, list(array.shape), datatype_of(array))
        # The client itself refuses to write FP16 as JSON.
        item.set_data_from_numpy(array, binary_data=is_binary or array.dtype == np.float16)
        return item


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Give BYTES as bytes; what came as JSON, and with KServe always, is text."""
    if array.dtype != object:
        return array
    encoded = [item.encode() if isinstance(item, str) else item for item in array.ravel()]
    return np.array([*encoded, None], dtype=object)[:-1].reshape(array.shape)


TRITON: Sequence[type] = (TritonClient, TritonAioClient)
EVERY: Sequence[type] = (*TRITON, KserveClient)
