"""Makes a validation kit for a model by asking it: what it answers to made-up inputs is what it has to answer on being validated.

That says nothing about whether the model is right. It does say that the version that is about to answer is the one that was tried, that it
answers at all, and what it needs, which becomes its budget with room to spare: other inputs may be larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from edged.bundle.kit import Golden, Kit, Sample, SampleInput
from edged.bundle.manifest import Budget
from edged.config.schema import WorkerConfig
from edged.dev.local.tensors import Shapes, make_inputs, possible_shapes
from edged.errors import BackendError, BundleError, DeadlineError, EdgedError, TensorError, WorkerLostError
from edged.host.template import Template
from edged.host.worker import Worker
from edged.publish.kit.golden import golden_of
from edged.runtime.tensors import InferResult, Tensor
from edged.runtime.wire import WorkerSpec
from edged.validation.memory import MemoryMeter
from edged.validation.quality import FEWEST

TIMEOUT_S: Final = 60.0
"""For one answer."""
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of it."""

    kit: Kit
    files: dict[str, bytes]
    """Of the kit, by path in the bundle."""
    budget: Budget


async def ask(spec: WorkerSpec, descriptors: Sequence[int]) -> Asked:
    """Ask a model.

    Args:
        spec: Of a worker without steps around the model.
        descriptors: Its files.

    Raises:
        EdgedError: It cannot be loaded, or gives no answers that can be compared.
    """
    samples: list[Sample] = []
    files: dict[str, bytes] = {}
    runs_s: list[float] = []
    inputs = spec.pipeline.inputs
    async with Template() as template:
        worker = await template.start_worker(spec, descriptors, timeout_s=WorkerConfig().load_timeout_s)
        async with worker:
            meter = MemoryMeter(worker.pid)
            shapes = await _find_shapes(worker)
            for number in range(FEWEST):
                tensors = make_inputs(inputs, shapes, number=number)
                result = await worker.infer(tensors, (), timeout_s=TIMEOUT_S)
                meter.read()
                runs_s.append(result.run_s)
                samples.append(_sample(f"{number + 1:02}", tensors, result, files))
            reference = f"{worker.runtime} with {spec.variant.id}, model sha256 {spec.files[0].sha256}"
    return Asked(
        kit=Kit(schema=1, reference=reference, samples=tuple(samples)),
        files=files,
        budget=_budget(runs_s, meter.needed_bytes or 0),
    )


async def _find_shapes(worker: Worker) -> Shapes:
    """Find shapes of inputs to which the model gives an answer that can be compared.

    Raises:
        BundleError: It gives none.
        DeadlineError: It takes too long, and would with larger ones.
        WorkerLostError: The process ended.
    """
    inputs = worker.spec.pipeline.inputs
    first: EdgedError | None = None
    for shapes in possible_shapes(inputs):
        try:
            result = await worker.infer(make_inputs(inputs, shapes, number=0), (), timeout_s=TIMEOUT_S)
            _sample("", (), result, {})
        except (DeadlineError, WorkerLostError):
            raise
        except (BackendError, BundleError, TensorError) as exc:
            first = first or exc
        else:
            return shapes
    takes = ", ".join(f"{spec.name} {spec}" for spec in inputs)
    raise BundleError(
        f"it answers to none of the inputs that were made up for it ({takes}): {first}",
        hint="Make a bundle with samples of your own (edge-publish bundle init, kit make, bundle build), and name that instead.",
    ) from first


def _sample(name: str, tensors: Sequence[Tensor], result: InferResult, files: dict[str, bytes]) -> Sample:
    """Write an answer down, and its files into ``files``.

    Raises:
        BundleError: It cannot be compared.
    """
    inputs = []
    for i, tensor in enumerate(tensors):
        # By number: names of tensors have characters that names of files have not.
        path = f"kit/samples/{name}.{i}"
        files[path] = bytes(tensor.data)
        inputs.append(SampleInput(name=tensor.name, shape=tensor.shape, file=path))
    golden: list[Golden] = []
    for i, tensor in enumerate(result.outputs):
        output, data = golden_of(tensor, file=f"kit/golden/{name}.{i}", where=f"output {tensor.name}")
        golden.append(output)
        if output.file is not None:
            files[output.file] = data
    return Sample(name=name, inputs=tuple(inputs), golden=tuple(golden))


def _budget(runs_s: Sequence[float], needed_bytes: int) -> Budget:
    """Return what was needed with room to spare, rounded so that the same model nearly always gets the same."""
    return Budget(
        latency_ms=float(1000 * round(1 + 20 * median(runs_s))),
        memory_bytes=-(-(2 * needed_bytes + 256 * MIB) // (64 * MIB)) * (64 * MIB),
    )
