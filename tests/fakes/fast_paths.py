"""The tensor socket with real workers behind it, and clients that speak its protocol as well or as badly as one likes."""

import asyncio
import fcntl
import mmap
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from msgspec.structs import replace

from edged.callers.quotas import Quotas
from edged.clock import SystemClock
from edged.config.schema import LimitsConfig, ServeConfig
from edged.daemon.serving.keeper import Loadable
from edged.daemon.serving.serving import Serving
from edged.daemon.tensors.tensor_socket import TensorSocket
from edged.host.template import Template
from edged.ids import ModelName, Version
from edged.runtime.calls import RequestClass
from edged.runtime.wire import WorkerSpec
from edged.select.decision import Decision
from edged.sockets import bind_unix
from edged.tensor_socket import (
    Datatype,
    Infer,
    Kind,
    Open,
    Opened,
    Placed,
    Result,
    Room,
    decode_to_client,
    encode,
)
from edged.worker.arrays import NUMPY
from tests.fakes.models import add_model, loop_model
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import opened, spec_of, worker_spec

MEMORY_BYTES = 1 << 20


def adder(amount: float = 1.0, **settings: object) -> tuple[WorkerSpec, bytes]:
    """``y = x + amount``; FP32 [-1, 4]."""
    model = add_model(amount)
    shape = (-1, 4)
    return worker_spec(model, [spec_of("x", "FP32", shape)], [spec_of("y", "FP32", shape)], **settings), model


def looping() -> tuple[WorkerSpec, bytes]:
    """Runs for as long as one asks it to: ``x`` FP32 [1], ``times`` INT64 [1]."""
    model = loop_model()
    inputs = [spec_of("x", "FP32", (1,)), spec_of("times", "INT64", (1,))]
    return worker_spec(model, inputs, [spec_of("y", "FP32", (1,))]), model


class FastPath:
    """A daemon's part of it: models that can be put and removed, and the socket."""

    def __init__(self, template: Template, directory: Path) -> None:
        self.path = directory / "tensor.sock"
        self.serving: Serving
        self.config = SimpleNamespace(serve=ServeConfig(), limits=LimitsConfig())
        self.sockets: TensorSocket
        self.stop_within_s = PATIENCE_S
        self.answering = lambda name, version, _request_class: self.serving.answering(name, version)
        """What the socket asks; by itself, no policy."""
        self.decision: Decision | None = None
        """What the policy decided about interactive requests, where it limits them."""
        self.scale = 1.0
        """Share of the full size that the policy asks for."""
        self._template = template
        self._directory = directory
        self._specs: dict[str, tuple[WorkerSpec, bytes]] = {}

    async def put(self, model: tuple[WorkerSpec, bytes], *, name: str = "adder", version: str = "1.0.0") -> None:
        """Have a model answer from now on."""
        self.serving.put(await self._load(model, name, version))

    async def add(self, model: tuple[WorkerSpec, bytes], variant: str) -> None:
        """Load one more variant of ``adder``."""
        spec, data = model
        renamed = replace(spec, variant=replace(spec.variant, id=variant))
        self.serving.add(await self._load((renamed, data), "adder", "1.0.0"))

    async def _load(self, model: tuple[WorkerSpec, bytes], name: str, version: str):
        spec, _ = model
        self._specs[f"{name}-{version}-{spec.variant.id}"] = model
        manifest = SimpleNamespace(
            name=name,
            model=ModelName(name),
            version=version,
            semver=Version.parse(version),
            pipeline=spec.pipeline,
        )
        return await self.serving.load(Loadable(bundle=SimpleNamespace(manifest=manifest), variant=spec.variant))

    async def start_worker(self, loadable: Loadable, memory):
        manifest = loadable.bundle.manifest
        spec, data = self._specs[f"{manifest.name}-{manifest.version}-{loadable.variant.id}"]
        with opened(self._directory, data) as files:
            return await self._template.start_worker(
                spec, files, timeout_s=PATIENCE_S, memory=memory, stop_within_s=self.stop_within_s
            )

    def find(self, name: str, version: str | None, request_class: RequestClass):
        """Return what answers by now, or raise why nothing does."""
        return self.answering(name, version, request_class)

    def limiting(self, _name: str, request_class: RequestClass) -> Decision | None:
        """Return what limits requests now."""
        return self.decision if request_class is RequestClass.INTERACTIVE else None

    def worker(self, name: str = "adder"):
        return self.served(name).worker

    def under_way(self, name: str = "adder") -> list[int]:
        """The numbers of the requests that a worker has of connections."""
        worker = self.worker(name)
        return [] if worker is None else [item.request for item in worker.lender._under_way().values()]

    def served(self, name: str = "adder"):
        """What answers now."""
        return self.serving.served[ModelName(name)]

    def stats(self, name: str = "adder"):
        return self.serving.stats(name)

    @asynccontextmanager
    async def client(self, model: str = "adder", **options: object) -> AsyncIterator["Client"]:
        client = Client(self.path, **{key: options.pop(key) for key in ("memory_bytes",) if key in options})
        try:
            await client.open(model, **options)
            yield client
        finally:
            client.close()


@asynccontextmanager
async def fast_path(directory: Path, *, poison_rest_s: float = 600.0) -> AsyncIterator[FastPath]:
    """Start one; nothing is served yet."""
    async with AsyncExitStack() as stack:
        template = await stack.enter_async_context(Template())
        fast = FastPath(template, directory)
        fast.serving = await stack.enter_async_context(
            Serving(
                start_worker=fast.start_worker,
                parallel=2,
                poison_rest_s=poison_rest_s,
                limits=lambda: fast.config.serve,
            )
        )
        listener = stack.enter_context(bind_unix(fast.path, mode=0o600, kind=socket.SOCK_SEQPACKET))
        fast.sockets = TensorSocket(
            listener,
            serving=fast.serving,
            answering=fast.find,
            quotas=Quotas(lambda: fast.config.limits, SystemClock()),
            limits=lambda: fast.config.serve,
            poison_rest_s=poison_rest_s,
            drain_s=PATIENCE_S,
            scale=lambda _model, _class: fast.scale,
            limiting=fast.limiting,
        )
        await stack.enter_async_context(fast.sockets)
        yield fast


def make_memory(size: int, *, seals: int = fcntl.F_SEAL_SHRINK, flags: int = os.MFD_ALLOW_SEALING) -> int:
    """Return a memfd as a client makes it."""
    descriptor = os.memfd_create("tensors", os.MFD_CLOEXEC | flags)
    os.ftruncate(descriptor, size)
    if seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


class Client:
    """One connection of a client, and its memory: inputs in the first half, outputs in the second."""

    def __init__(self, path: Path, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.memory = make_memory(memory_bytes)
        self.map = mmap.mmap(self.memory, memory_bytes)
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.connection.settimeout(0)
        self.connection.connect(str(path))
        self.opened: Opened
        self._half = memory_bytes // 2
        self._number = 0

    async def open(self, model: str = "adder", **options: object) -> None:
        answer = await self.offer(encode(Open(model=model, **options)), [self.memory])
        assert isinstance(answer, Opened), answer
        self.opened = answer

    async def offer(self, datagram: bytes, descriptors: Sequence[int]):
        """Send any first message; returns the answer."""
        socket.send_fds(self.connection, [datagram], list(descriptors))
        return await self.receive()

    async def receive(self):
        """Take the next message; None when the connection is closed."""
        async with asyncio.timeout(PATIENCE_S):
            datagram = await asyncio.get_running_loop().sock_recv(self.connection, 1 << 17)
        return decode_to_client(datagram) if datagram else None

    def send(self, message: Infer | bytes) -> None:
        self.connection.send(encode(message) if isinstance(message, Infer) else message)

    def infer(
        self, inputs: Mapping[int, np.ndarray], *, outputs: Sequence[int] = (0,), room: int = 4096, **fields: object
    ) -> Infer:
        """Put arrays into the memory and return the request for them."""
        at, placed = 0, []
        for index, array in inputs.items():
            data = array.tobytes()
            self.map[at : at + len(data)] = data
            placed.append(Placed(index=index, shape=array.shape, offset=at, size=len(data)))
            at += -(-len(data) // 64) * 64
        self._number += 1
        rooms = [Room(index=index, offset=self._half + i * room, capacity=room) for i, index in enumerate(outputs)]
        return Infer(**{"request": self._number, "inputs": tuple(placed), "outputs": tuple(rooms)} | fields)

    async def ask(self, inputs: Mapping[int, np.ndarray], **fields: object):
        """Ask and wait; returns the arrays of the outputs, or the error."""
        self.send(self.infer(inputs, **fields))
        return self.read(await self.receive())

    def read(self, answer):
        if not isinstance(answer, Result):
            return answer
        types = {entry.index: entry.datatype for entry in self.opened.tensors if entry.kind is Kind.OUTPUT}
        found = [
            np.frombuffer(
                bytes(self.map[item.offset : item.offset + item.size]),
                dtype=NUMPY.get(types[item.index].name, np.uint8),
            )
            for item in answer.outputs
        ]
        return [
            array if types[item.index] is Datatype.BYTES else array.reshape(item.shape)
            for array, item in zip(found, answer.outputs, strict=True)
        ]

    def rewrite(self, pattern: bytes, *, times: int = 20) -> None:
        """Write over the inputs again and again; takes its time."""
        for _ in range(times):
            self.map[: len(pattern)] = pattern

    def close(self) -> None:
        self.connection.close()
        self.map.close()
        os.close(self.memory)


async def until(condition: Callable[[], bool]) -> None:
    """Let others go on until something is so that nobody tells."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0)
