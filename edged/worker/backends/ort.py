"""ONNX Runtime as a backend: few threads, no spinning, models from memory only."""

import importlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from types import ModuleType
from typing import Any, Final

import numpy as np

from edged.bundle.manifest import Session as Settings
from edged.bundle.manifest import Variant
from edged.errors import BackendError, IncompatibleError, ModelLoadError, TensorError
from edged.footprint import trim
from edged.onnx.in_place import usable_in_place
from edged.onnx.safety import check_model
from edged.pipeline.spec import Datatype, TensorSpec
from edged.select.versions import is_in_range
from edged.worker.arrays import Array
from edged.worker.backends.base import Stop, stopped
from edged.worker.backends.surplus import Surplus

PROVIDER: Final = "CPUExecutionProvider"
DEFAULTS: Final = Settings()
"""One thread, no spinning: small models are fastest so, and spinning threads take a shared machine's cores from everybody else."""
LOG_ERRORS: Final = 3
LOG_NOTHING: Final = 4
AS_REQUESTED: Final = 1
"""``ArenaExtendStrategy::kSameAsRequested``."""
GIVE_BACK: Final = ("memory.enable_memory_arena_shrinkage", "cpu:0")
"""Run option: free what of the session's memory no run uses, when this run ends."""
MAX_REASON: Final = 600

# Since 1.29 the wheels on PyPI send usage data to their maker unless this is set before the library initialises, and keep a database
# and a thread for it. A device that promises to keep its data does not take part.
_ENVIRONMENT: Final = {"ORT_DISABLE_TELEMETRY": "1"}

# y = Identity(x) for one BOOL; opset 15.
_SMALLEST_MODEL: Final = (
    b'\x08\x08:7\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\t\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\t\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x0f"
)
_TRUE: Final = np.ones(1, dtype=bool)

DATATYPES: Final[Mapping[str, Datatype]] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}
"""The library's names of types, as the protocol calls them."""


class OnnxRuntime:
    """The backend. Making one imports and warms up the library, which takes a tenth of a second and 20 to 40 MB."""

    def __init__(self) -> None:
        self._library = load_library()
        self._smallest = self._library.InferenceSession(
            _SMALLEST_MODEL, session_options(self._library), providers=[PROVIDER]
        )

    @property
    def runtime(self) -> str:
        """Name and version."""
        return f"onnxruntime {self._library.__version__}"

    def shrink(self) -> None:
        """Give back what runs left behind; see ``Backend.shrink``.

        The library does so at the end of a run only, of any session that has a part in the arena: so of one that does nothing else.
        """
        # Where there is no memory for as little as that, runs use it all: there is none to give back, either.
        with suppress(Exception):
            options = self._library.RunOptions()
            options.add_run_config_entry(*GIVE_BACK)
            self._smallest.run(None, {"x": _TRUE}, options)

    def load(self, model: bytes, variant: Variant) -> "OnnxSession":
        """Make a session; see ``Backend.load``."""
        self._check_runtime(variant)
        return self._load(model, variant.id, variant.inputs, variant.outputs, variant.session)

    def load_graph(
        self, model: bytes, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
    ) -> "OnnxSession":
        """Make a session of a step's graph; see ``Backend.load_graph``."""
        name = f"the graph that gives {', '.join(spec.name for spec in outputs)}"
        return self._load(model, name, inputs, outputs, DEFAULTS)

    def _load(
        self,
        model: bytes,
        name: str,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        settings: Settings,
    ) -> "OnnxSession":
        """Make a session. The model is looked through before the library sees a byte of it."""
        check_model(model)
        options = session_options(self._library, settings)
        # Planning pays where all runs have the same shapes. Otherwise each combination of shapes gets a plan, which is kept, and the arena
        # keeps the planned block beside the single ones of the run before: twice the memory (measured with 1.32).
        options.enable_mem_pattern = all(-1 not in spec.shape for spec in inputs)
        try:
            session = self._library.InferenceSession(model, options, providers=[PROVIDER])
        except MemoryError as exc:
            raise ModelLoadError(f"{name}: not enough memory to load", hint="Raise budget.memory_bytes.") from exc
        # The library's exceptions share no base class below Exception.
        except Exception as exc:
            raise ModelLoadError(
                f"{name}: {_reason(exc)}", hint="Check that the model loads where it was built."
            ) from exc
        # It would keep them as long as it lives, to start again on another device.
        session._model_bytes = None  # noqa: SLF001 - there is no other way
        _check_tensors(name, "inputs", inputs, session.get_inputs())
        _check_tensors(name, "outputs", outputs, session.get_outputs())
        in_place = usable_in_place(model, inputs)
        return OnnxSession(self._library, session, name, inputs, outputs, in_place=in_place)

    def _check_runtime(self, variant: Variant) -> None:
        version = self._library.__version__
        if not is_in_range(version, variant.runtime.version):
            raise IncompatibleError(
                f"{variant.id} needs onnxruntime {variant.runtime.version}, this device has {version}",
                hint="Add a variant for this version to the bundle, or update the device.",
            )
        if PROVIDER not in variant.runtime.providers:
            raise IncompatibleError(
                f"{variant.id} needs {' or '.join(variant.runtime.providers)}, this device has {PROVIDER}",
                hint="Add a variant for the CPU to the bundle.",
            )


class OnnxStop:
    """Stops runs of an ``OnnxSession``, which look at it before each node of their graph."""

    __slots__ = ("is_set", "options")

    def __init__(self, options: Any) -> None:
        self.options = options
        """``onnxruntime.RunOptions``."""
        self.is_set = False

    def set(self) -> None:
        """Stop; see ``Stop.set``."""
        self.is_set = True
        self.options.terminate = True


class OnnxSession:
    """A model loaded by ONNX Runtime."""

    def __init__(
        self,
        library: ModuleType,
        session: Any,
        name: str,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        *,
        in_place: frozenset[str],
    ) -> None:
        self.in_place: Final = in_place
        self._library = library
        self._session = session
        self._name = name
        self._outputs = [spec.name for spec in outputs]
        self._texts_in = [spec for spec in inputs if spec.dtype == "BYTES"]
        self._texts_out = [spec.name for spec in outputs if spec.dtype == "BYTES"]
        self._surplus = Surplus()

    def new_stop(self) -> OnnxStop:
        """Return what can stop a run; see ``Session.new_stop``."""
        options = self._library.RunOptions()
        # Whatever goes wrong is in the exception; the journal is not for the mistakes of callers.
        options.log_severity_level = LOG_NOTHING
        return OnnxStop(options)

    def run(self, inputs: Mapping[str, Array], stop: Stop) -> dict[str, Array]:
        """Run the model once; see ``Session.run``."""
        if not isinstance(stop, OnnxStop):
            raise TypeError("the stop is another backend's")
        feed = dict(inputs)
        for spec in self._texts_in:
            feed[spec.name] = _texts(spec, feed[spec.name])
        input_bytes = sum(array.nbytes for array in feed.values())
        gives_back = self._surplus.begin(input_bytes)
        if gives_back:
            stop.options.add_run_config_entry(*GIVE_BACK)
        try:
            values = self._session.run(self._outputs, feed, stop.options)
        except MemoryError:
            self._surplus.fail()
            raise
        # As in load: no common base class.
        except Exception as exc:
            if stop.is_set:
                self._surplus.stop(input_bytes)
                raise stopped() from exc
            self._surplus.fail()
            raise BackendError(f"{self._name} failed: {_reason(exc)}") from exc
        outputs = dict(zip(self._outputs, map(np.asarray, values), strict=True))
        self._surplus.end(input_bytes, sum(array.nbytes for array in outputs.values()), gave_back=gives_back)
        if gives_back:
            trim()  # what the arena gave back, it gave to the heap
        for name in self._texts_out:
            outputs[name] = _to_bytes(outputs[name])
        return outputs


@cache
def load_library() -> ModuleType:
    """Import and warm up ONNX Runtime, silently and without its usage reporting; the one place where edged imports it."""
    os.environ.update(_ENVIRONMENT)
    # A configuration embedded in a model could set any session option.
    os.environ.pop("ORT_LOAD_CONFIG_FROM_MODEL", None)
    with _standard_error_closed():
        library = importlib.import_module("onnxruntime")
        _register_arena(library)
        # The first session sets up what all sessions share; done here, workers inherit it.
        library.InferenceSession(_SMALLEST_MODEL, session_options(library), providers=[PROVIDER])
    return library


def session_options(library: ModuleType, settings: Settings = DEFAULTS) -> Any:
    """Return the options every session of edged has, with what a variant says about its own."""
    options = library.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = library.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = LOG_ERRORS
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(settings.spinning)))
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # The library would otherwise guess the format from the bytes, and its own format passes by the safety check.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # The arena of ``_register_arena``.
    options.add_session_config_entry("session.use_env_allocators", "1")
    return options


@cache
def _register_arena(library: ModuleType) -> None:
    """Have all sessions of a process share an arena that asks the system for as much as it was asked for; once in a process.

    By default it asks for twice as much each time, and remembers that even where it was refused: after one request that is too large
    for the worker's limit, the next small one takes all that is left of it, and whatever comes then has no memory.
    """
    arena, default = library.OrtAllocatorType.ORT_ARENA_ALLOCATOR, library.OrtMemType.DEFAULT
    library.create_and_register_allocator(
        library.OrtMemoryInfo("Cpu", arena, 0, default), library.OrtArenaCfg({"arena_extend_strategy": AS_REQUESTED})
    )


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    """Send this process's standard error nowhere for a while.

    Debian's build of the library prints some 570 lines with its first session, about schemas that are already registered.
    """
    real = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(real, 2)
        os.close(real)
        os.close(nowhere)


def _check_tensors(owner: str, kind: str, specs: Sequence[TensorSpec], found: Sequence[Any]) -> None:
    wanted = {spec.name: spec for spec in specs}
    actual = {argument.name: argument for argument in found}
    if missing := sorted(set(wanted) - set(actual)) or (sorted(set(actual) - set(wanted)) if kind == "inputs" else []):
        raise ModelLoadError(
            f"{owner}: the manifest's {kind} are {', '.join(sorted(wanted))}, the model's {', '.join(sorted(actual))}",
            hint=f"Correct {', '.join(missing)} in the manifest.",
        )
    for name, spec in wanted.items():
        dtype = DATATYPES.get(actual[name].type, actual[name].type)
        shape = actual[name].shape
        if dtype != spec.dtype or not _shapes_agree(spec.shape, shape, is_output=kind == "outputs"):
            raise ModelLoadError(
                f"{owner}: {name} is {spec.dtype} {list(spec.shape)} in the manifest, {dtype} {shape} in the model",
                hint="Correct the manifest; -1 stands for an axis the model leaves open.",
            )


def _shapes_agree(spec: Sequence[int], shape: Sequence[object], *, is_output: bool) -> bool:
    """Tell whether a manifest's shape is one the model allows: what the model fixes is the same, what it leaves open is any."""
    if is_output and not shape:  # the library knows no rank for it
        return True
    return len(spec) == len(shape) and all(not isinstance(b, int) or a == b for a, b in zip(spec, shape, strict=True))


def _texts(spec: TensorSpec, array: Array) -> Array:
    texts = np.empty(math.prod(array.shape), dtype=object)
    for i, item in enumerate(array.ravel().tolist()):
        try:
            texts[i] = bytes(item).decode()
        except UnicodeDecodeError as exc:
            raise TensorError(
                f"tensor {spec.name}: element {i} is not UTF-8, which this model's text inputs must be"
            ) from exc
    return texts.reshape(array.shape)


def _to_bytes(array: Array) -> Array:
    data = np.empty(math.prod(array.shape), dtype=object)
    for i, item in enumerate(array.ravel().tolist()):
        data[i] = str(item).encode()
    return data.reshape(array.shape)


def _reason(exc: Exception) -> str:
    text = " ".join(str(exc).split()) or type(exc).__name__
    return text if len(text) <= MAX_REASON else text[:MAX_REASON] + "..."
