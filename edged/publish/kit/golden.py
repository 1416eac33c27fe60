"""Make a validation kit: what a recipe's first variant answers to samples becomes the golden outputs that devices hold it against.

The variant runs in a worker process, with the recipe's pipeline around it, as it will on devices.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from edged.bundle.kit import KIT_NAME, Golden, Kit, Sample
from edged.bundle.manifest import FileEntry, Role, Variant
from edged.codec import encode_readable
from edged.config.schema import WorkerConfig
from edged.errors import BundleError, ManifestError, UsageError
from edged.files import hash_file, replace_durably
from edged.host.template import Template
from edged.onnx.safety import check_model
from edged.pipeline.datatypes import unpack
from edged.pipeline.pipeline import misfits
from edged.pipeline.spec import TensorSpec
from edged.publish.building.naming import variant_ids
from edged.publish.building.recipe import ONNX_RUNTIME, Recipe, RecipeVariant
from edged.publish.formats.onnx import read_tensors
from edged.publish.kit.questions import Question, path_of
from edged.publish.kit.truth import Truths
from edged.publish.kit.try_variants import memory_limit_bytes
from edged.runtime.tensors import Tensor, elements_of
from edged.runtime.wire import FilePin, WorkerSpec

GOLDEN: Final = "golden"
"""Where a kit has the golden outputs that are too large for its document."""
MOST_IN_DOCUMENT: Final = 4096
"""Values of one output."""


def make_spec(recipe: Recipe, recipe_path: Path, stack: ExitStack) -> tuple[WorkerSpec, list[int]]:
    """Describe a worker for the recipe's first variant.

    Args:
        recipe: Its first variant is the reference.
        recipe_path: Paths in it are relative to it.
        stack: Closes the descriptors returned.

    Returns:
        What to start the worker with.

    Raises:
        UsageError: The first variant cannot run here.
        ManifestError: The pipeline does not fit the model.
        BundleError: A file is missing, or the model is unsafe or none.
    """
    base, wanted = recipe_path.parent, recipe.variants[0]
    if wanted.format != "onnx":
        raise UsageError(
            f"{recipe_path}: the first variant is {wanted.format}, which does not run here",
            hint="Put the variant whose answers are the reference first; it has to be ONNX.",
        )
    sources: dict[str, tuple[Role, Path]] = {file.path: (file.role, base / file.source) for file in recipe.files}
    named = dict.fromkeys(path for step in recipe.pipeline.steps for path in step.files)
    if missing := [path for path in named if path not in sources]:
        raise BundleError(f"{recipe_path}: a step names {missing[0]}, which is not in files")
    name = variant_ids(recipe)[0]
    own: dict[str, tuple[Role, Path]] = {f"models/{name}.onnx": ("model", base / wanted.model)}
    pins, descriptors = [], []
    for path, (role, source) in (own | {path: sources[path] for path in named}).items():
        try:
            file = stack.enter_context(source.open("rb"))
            digest, size = hash_file(source)
        except OSError as exc:
            raise BundleError(f"{recipe_path}: {source}: {exc.strerror}") from exc
        pins.append(FilePin(path=path, role=role, sha256=digest, size=size))
        descriptors.append(file.fileno())
    model = (base / wanted.model).read_bytes()
    check_model(model)
    variant = _variant(wanted, name, pins[0], *read_tensors(model))
    if problems := list(misfits(recipe.pipeline, variant.inputs, variant.outputs, "/variants/0")):
        raise ManifestError(str(recipe_path), problems)
    name = f"{recipe.name}-{recipe.version}"
    spec = WorkerSpec(
        name=name,
        pipeline=recipe.pipeline,
        variant=variant,
        files=tuple(pins),
        memory_limit_bytes=memory_limit_bytes(wanted.budget),
    )
    return spec, descriptors


async def answer(
    spec: WorkerSpec, descriptors: Sequence[int], questions: Sequence[Question], truths: Truths, *, timeout_s: float
) -> tuple[Kit, dict[str, bytes]]:
    """Ask the reference every question.

    Args:
        spec: Of the reference.
        descriptors: Its files.
        questions: The samples.
        truths: Of the samples where they are known.
        timeout_s: Longest wait for one sample.

    Returns:
        The kit, and the contents of its files by path.

    Raises:
        EdgedError: The reference cannot be loaded, does not answer, or answers what cannot be a golden output.
    """
    samples = []
    files: dict[str, bytes] = {}
    async with Template() as template:
        worker = await template.start_worker(spec, descriptors, timeout_s=WorkerConfig().load_timeout_s)
        async with worker:
            for question in questions:
                result = await worker.infer(question.tensors, (), timeout_s=timeout_s)
                found = [
                    golden_of(
                        tensor,
                        file=path_of(GOLDEN, question.name, tensor.name),
                        where=f"{question.name}: output {tensor.name}",
                    )
                    for tensor in result.outputs
                ]
                files.update(question.files)
                files.update({golden.file: data for golden, data in found if golden.file is not None})
                golden = tuple(golden for golden, _ in found)
                samples.append(
                    Sample(
                        name=question.name,
                        input=question.input,
                        inputs=question.inputs,
                        golden=golden,
                        truth=truths.of(question.name, golden),
                    )
                )
            runtime = worker.runtime
    reference = f"{runtime} with {spec.variant.id}, model sha256 {spec.files[0].sha256}"
    return Kit(schema=1, reference=reference, samples=tuple(samples)), files


def write_kit(out: Path, kit: Kit, files: Mapping[str, bytes]) -> None:
    """Write a kit into a directory, made when missing: first its files, its document last.

    Raises:
        OSError: The directory cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_bytes(content)
    replace_durably(out / KIT_NAME, encode_readable(kit))


def golden_of(tensor: Tensor, *, file: str, where: str) -> tuple[Golden, bytes]:
    """Return an answer as a golden output, with the bytes of its file where it has one.

    Args:
        tensor: The answer.
        file: Where its values go when they are many.
        where: What to call it in errors.

    Raises:
        BundleError: It cannot be a golden output.
    """
    if tensor.dtype == "BYTES":
        try:
            texts = tuple(element.decode() for element in elements_of(tensor, memoryview(tensor.data)))
        except UnicodeDecodeError as exc:
            raise BundleError(f"{where} is no UTF-8 text, which golden outputs of BYTES are") from exc
        return Golden(name=tensor.name, dtype="BYTES", shape=tensor.shape, data=texts), b""
    values = unpack(tensor.dtype, tensor.data)
    if not all(map(math.isfinite, values)):
        raise BundleError(f"{where} has NaN or infinities", hint="A model that answers so is broken; mend it first.")
    if len(values) > MOST_IN_DOCUMENT:
        return Golden(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, file=file), bytes(tensor.data)
    return Golden(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, data=values), b""


def _variant(
    wanted: RecipeVariant, name: str, model: FilePin, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> Variant:
    return Variant(
        id=name,
        tier=wanted.tier,
        precision=wanted.precision,
        format=wanted.format,
        files=(FileEntry(path=model.path, role="model", sha256=model.sha256, size=model.size),),
        targets=wanted.targets,
        runtime=wanted.runtime or ONNX_RUNTIME,
        inputs=inputs,
        outputs=outputs,
        budget=wanted.budget,
        session=wanted.session,
        state=wanted.state,
    )
