"""A kit is run whole, its differences are a verdict, and what is not the model's fault is an error."""

import json

import msgspec
import numpy as np
import pytest
from msgspec import structs

from edged.bundle.manifest import MetricLimit, Tolerance
from edged.errors import BundleError, DeadlineError, ManifestError, StoreError, TensorError, WorkerLostError
from edged.pipeline.steps import PadTo
from edged.runtime.tensors import InferResult
from edged.validation.validate import validate
from edged.worker.arrays import to_array, to_tensor
from tests.fakes.kits import VARIANT, manifest_of
from tests.fakes.workers import spec_of

SAMPLES = {"a": b"12345", "b": b"", "c": b"1"}


class Lengths:
    """A model that answers with the length of the file, off by ``error``; takes ``seconds`` by its own account."""

    def __init__(self, *, error=0.0, seconds=(0.001,), raises=None, least_scale=0.0):
        self.error = error
        self.seconds = list(seconds)
        self.raises = raises
        self.asked = 0
        self.scales = []
        self.least_scale = least_scale

    async def infer(self, inputs, outputs=(), *, timeout_s, scale=1.0):
        self.asked += 1
        self.scales.append(scale)
        if scale < self.least_scale:
            raise BundleError("it does not fit")
        if self.raises:
            raise self.raises
        (content,) = to_array(inputs[0]).tolist()
        length = np.array([len(content) + self.error], dtype=np.float32)
        return InferResult(outputs=[to_tensor("length", length)], run_s=self.seconds[self.asked % len(self.seconds)])


@pytest.fixture
def manifest():
    outputs = [spec_of("length", "FP32", (1,))]
    limit = MetricLimit(metric="mean_absolute_error", output="length", at_most=0.75)
    return manifest_of(
        outputs,
        [Tolerance(output="length", absolute=0.5)],
        samples=[f"samples/{name}" for name in SAMPLES],
        metrics=[limit],
    )


def write_kit(directory, *, output="length", inputs=None, truth=("a", "c")):
    (directory / "samples").mkdir(exist_ok=True)
    samples = []
    for name, data in SAMPLES.items():
        (directory / "samples" / name).write_bytes(data)
        golden = {"name": output, "dtype": "FP32", "shape": [1], "data": [float(len(data))]}
        sample = {"name": name, "input": (inputs or {}).get(name, f"samples/{name}"), "golden": [golden]}
        samples.append(sample | ({"truth": [golden]} if name in truth else {}))
    kit = {"schema": 1, "reference": "len 1.0", "samples": samples}
    (directory / "kit.json").write_text(json.dumps(kit))


@pytest.fixture
def directory(tmp_path):
    write_kit(tmp_path)
    return tmp_path


async def test_a_model_that_answers_as_before_passes(directory, manifest):
    verdict = await validate(Lengths(error=0.4), directory, manifest, VARIANT, timeout_s=1)

    assert verdict.passed
    assert [sample.name for sample in verdict.samples] == ["a", "b", "c"]
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
    assert verdict.reasons == ("median latency is 2000 ms, the budget is 1000 ms",)


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


async def test_a_limit_on_a_measure_is_held_against_the_samples_whose_truth_is_known(directory, manifest):
    """Each answer is within its tolerance, and all of them together are not good enough."""
    limit = MetricLimit(metric="mean_absolute_error", output="length", at_most=0.25)
    strict = structs.replace(manifest, validation=structs.replace(manifest.validation, metrics=(limit,)))

    verdict = await validate(Lengths(error=0.4), directory, strict, VARIANT, timeout_s=1)

    assert verdict.differences == ()
    assert verdict.reasons == ("mean_absolute_error of length over 2 samples is 0.4, allowed is at most 0.25",)


async def test_a_measure_without_all_its_answers_fails(directory, manifest):
    verdict = await validate(Lengths(raises=TensorError("not this")), directory, manifest, VARIANT, timeout_s=1)

    assert verdict.reasons[-1] == (
        "mean_absolute_error of length over 2 samples cannot be measured: sample a has no answer"
    )


async def test_a_limit_that_no_sample_has_a_truth_for_is_refused(directory, manifest):
    write_kit(directory, truth=())

    with pytest.raises(BundleError, match="/validation/metrics/0: no sample has a truth for length"):
        await validate(Lengths(), directory, manifest, VARIANT, timeout_s=1)


async def test_a_variants_own_tolerance_counts(directory, manifest):
    loose = structs.replace(VARIANT, tolerance=(Tolerance(output="length", absolute=0.7),))

    assert not (await validate(Lengths(error=0.6), directory, manifest, VARIANT, timeout_s=1)).passed
    assert (await validate(Lengths(error=0.6), directory, manifest, loose, timeout_s=1)).passed


@pytest.mark.parametrize(
    ("tolerances", "reason"),
    [
        ([Tolerance(output="length", label_set=0.5)], "label_set is for BYTES"),
        ([Tolerance(output="length", absolute=1), Tolerance(output="length", cosine=0.5)], "has a tolerance already"),
    ],
)
async def test_tolerances_that_cannot_be_applied_are_refused(directory, manifest, tolerances, reason):
    wrong = structs.replace(manifest, validation=structs.replace(manifest.validation, tolerance=tuple(tolerances)))

    with pytest.raises(BundleError, match=reason):
        await validate(Lengths(), directory, wrong, VARIANT, timeout_s=1)


@pytest.fixture
def filed(directory, manifest):
    """The kit, with the golden value of sample a in a file."""
    path = directory / "kit.json"
    path.write_text(path.read_text().replace('"data": [5.0]}]', '"file": "golden/a"}]', 1))
    (directory / "golden").mkdir()
    (directory / "golden/a").write_bytes(np.array([5.0], dtype="<f4").tobytes())
    listed = structs.replace(manifest.file("samples/a"), path="golden/a")
    return structs.replace(manifest, files=(*manifest.files, listed))


async def test_golden_values_may_lie_in_a_file(directory, filed):
    assert (await validate(Lengths(error=0.4), directory, filed, VARIANT, timeout_s=1)).passed

    verdict = await validate(Lengths(error=1.0), directory, filed, VARIANT, timeout_s=1)
    assert "sample a, output length: element 0 is 6, golden 5" in verdict.reasons[0]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"123", "has 3 bytes, FP32 .* has 4"), (b"\x00\x00\xc0\x7f", "has NaN or infinities")]
)
async def test_a_file_that_is_no_golden_tensor_is_refused(directory, filed, content, reason):
    (directory / "golden/a").write_bytes(content)

    with pytest.raises(BundleError, match=reason):
        await validate(Lengths(), directory, filed, VARIANT, timeout_s=1)


async def test_a_golden_file_the_manifest_does_not_list_is_refused(directory, filed):
    unlisted = structs.replace(filed, files=filed.files[:-1])

    with pytest.raises(BundleError, match="golden/a is not listed"):
        await validate(Lengths(), directory, unlisted, VARIANT, timeout_s=1)


async def test_after_every_sample_it_is_said_that_one_is_done(directory, manifest):
    done = []

    await validate(
        Lengths(raises=TensorError("not this")),
        directory,
        manifest,
        VARIANT,
        timeout_s=1,
        after_sample=lambda: done.append(1),
    )

    assert len(done) == len(SAMPLES)


def scaled(manifest):
    """The manifest of a model whose texts may be made shorter."""
    step = msgspec.convert(
        {"op": "pad_to@1", "input": "x", "output": "y", "axis": 0, "length": 8, "scaling": {"least": 0.25}}, PadTo
    )
    return structs.replace(manifest, pipeline=structs.replace(manifest.pipeline, pre=(step,)))


async def test_a_model_that_may_be_given_less_is_asked_once_in_its_least_size(directory, manifest):
    model = Lengths(error=0.4)

    verdict = await validate(model, directory, scaled(manifest), VARIANT, timeout_s=1)

    assert verdict.passed
    assert model.scales == [1.0, 0.25, 1.0, 1.0]


async def test_a_model_that_fails_in_its_least_size_fails(directory, manifest):
    verdict = await validate(Lengths(least_scale=0.5), directory, scaled(manifest), VARIANT, timeout_s=1)

    assert not verdict.passed
    assert verdict.reasons[0] == "sample a, output length: got bundle-invalid: it does not fit, at scale 0.25"
