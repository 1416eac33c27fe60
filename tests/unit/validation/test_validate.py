"""A kit is run whole, its differences are a verdict, and what is not the model's fault is an error."""

import json

import numpy as np
import pytest

from edged.bundle.manifest import FileEntry, Manifest, Provenance, Tolerance, Validation
from edged.errors import BundleError, DeadlineError, ManifestError, StoreError, TensorError, WorkerLostError
from edged.pipeline.pipeline import Pipeline
from edged.runtime.tensors import InferResult
from edged.validation.validate import validate
from edged.worker.arrays import to_array, to_tensor
from tests.fakes.workers import spec_of, variant_of

SAMPLES = {"a": b"12345", "b": b"", "c": b"1"}
VARIANT = variant_of(b"model", [spec_of("x", "INT32", (1,))], [spec_of("length", "FP32", (1,))])


class Lengths:
    """A model that answers with the length of the file, off by ``error``; takes ``seconds`` by its own account."""

    def __init__(self, *, error=0.0, seconds=(0.001,), raises=None):
        self.error = error
        self.seconds = list(seconds)
        self.raises = raises
        self.asked = 0

    async def infer(self, inputs, outputs=(), *, timeout_s):
        self.asked += 1
        if self.raises:
            raise self.raises
        (content,) = to_array(inputs[0]).tolist()
        length = np.array([len(content) + self.error], dtype=np.float32)
        return InferResult(outputs=[to_tensor("length", length)], run_s=self.seconds[self.asked % len(self.seconds)])


def entry(path, role):
    return FileEntry(path=path, role=role, sha256="0" * 64, size=1)


@pytest.fixture
def manifest():
    files = [
        entry("kit.json", "kit"),
        entry("sbom.json", "sbom"),
        *(entry(f"samples/{name}", "sample") for name in SAMPLES),
    ]
    return Manifest(
        schema=1,
        name="tiny",
        version="1.0.0",
        min_edged="0.1.0",
        variants=(VARIANT,),
        files=tuple(files),
        pipeline=Pipeline(inputs=(spec_of("content", "BYTES", (1,)),), outputs=(spec_of("length", "FP32", (1,)),)),
        validation=Validation(kit="kit.json", tolerance=(Tolerance(output="length", absolute=0.5),)),
        sbom="sbom.json",
        provenance=Provenance(source="made here", licence="Apache-2.0"),
    )


def write_kit(directory, *, output="length", inputs=None):
    (directory / "samples").mkdir(exist_ok=True)
    samples = []
    for name, data in SAMPLES.items():
        (directory / "samples" / name).write_bytes(data)
        golden = {"name": output, "dtype": "FP32", "shape": [1], "data": [float(len(data))]}
        samples.append({"name": name, "input": (inputs or {}).get(name, f"samples/{name}"), "golden": [golden]})
    kit = {"schema": 1, "reference": "len 1.0", "samples": samples}
    (directory / "kit.json").write_text(json.dumps(kit))


@pytest.fixture
def directory(tmp_path):
    write_kit(tmp_path)
    return tmp_path


async def test_a_model_that_answers_as_before_passes(directory, manifest):
    verdict = await validate(Lengths(error=0.4), directory, manifest, VARIANT, timeout_s=1)

    assert verdict.passed
    assert verdict.samples == 3
    assert verdict.reasons == ()


async def test_a_model_that_answers_otherwise_fails_with_every_difference(directory, manifest):
    model = Lengths(error=1.0)

    verdict = await validate(model, directory, manifest, VARIANT, timeout_s=1)

    assert not verdict.passed
    assert [difference.sample for difference in verdict.differences] == ["a", "b", "c"]
    assert "sample a, output length: element 0 is 6, golden 5" in verdict.reasons[0]


async def test_a_model_that_refuses_a_sample_fails_and_the_rest_is_still_run(directory, manifest):
    model = Lengths(raises=TensorError("not this"))

    verdict = await validate(model, directory, manifest, VARIANT, timeout_s=1)

    assert not verdict.passed
    assert model.asked == 3
    assert verdict.differences[0].reason == "got tensor-invalid: not this"


async def test_one_slow_sample_does_not_fail_a_model(directory, manifest):
    """The median counts: the machine may be busy with something else for a moment."""
    verdict = await validate(Lengths(seconds=[0.001, 0.001, 60.0]), directory, manifest, VARIANT, timeout_s=1)

    assert verdict.passed
    assert verdict.latency_p50_ms == pytest.approx(1.0)


async def test_a_median_above_the_budget_fails_a_model(directory, manifest):
    verdict = await validate(Lengths(seconds=[2.0]), directory, manifest, VARIANT, timeout_s=1)

    assert not verdict.passed
    assert verdict.reasons == ("median latency is 2000.0 ms, the budget 1000.0 ms",)


@pytest.mark.parametrize("error", [DeadlineError("late"), WorkerLostError("gone")])
async def test_a_model_that_hangs_or_crashes_is_an_error(directory, manifest, error):
    """There is nothing left to run the other samples on."""
    with pytest.raises(type(error)):
        await validate(Lengths(raises=error), directory, manifest, VARIANT, timeout_s=1)


@pytest.mark.parametrize("path", ["samples/unlisted", "kit.json"])
async def test_a_sample_the_manifest_does_not_list_is_refused(directory, manifest, path):
    """Nobody has verified it."""
    write_kit(directory, inputs={"b": path})

    with pytest.raises(BundleError, match="not listed"):
        await validate(Lengths(), directory, manifest, VARIANT, timeout_s=1)


async def test_an_output_the_pipeline_does_not_have_is_refused(directory, manifest):
    write_kit(directory, output="width")

    with pytest.raises(BundleError, match="no output width"):
        await validate(Lengths(), directory, manifest, VARIANT, timeout_s=1)


async def test_a_kit_that_is_none_or_missing_is_refused(directory, manifest):
    (directory / "kit.json").write_text("{}")
    with pytest.raises(ManifestError, match="samples"):
        await validate(Lengths(), directory, manifest, VARIANT, timeout_s=1)

    (directory / "kit.json").unlink()
    with pytest.raises(StoreError, match=r"kit\.json"):
        await validate(Lengths(), directory, manifest, VARIANT, timeout_s=1)


async def test_golden_data_that_are_no_tensor_are_refused(directory, manifest):
    """An empty list would pass for any answer."""
    path = directory / "kit.json"
    path.write_text(path.read_text().replace('"data": [5.0]', '"data": []'))

    with pytest.raises(BundleError, match=r"kit\.json: a: golden length: has 0 values for shape \[1\]"):
        await validate(Lengths(), directory, manifest, VARIANT, timeout_s=1)
