"""What a worker is started with: the files its pipeline and variant need, and no others."""

import os

import pytest

from edged.bundle.manifest import FileEntry, Manifest, Provenance, Tolerance, Validation
from edged.errors import StoreError
from edged.files import hash_bytes
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import Labels
from edged.runtime.specs import open_variant
from edged.runtime.wire import SequenceLimits
from tests.fakes.workers import spec_of, variant_of

VARIANT = variant_of(b"model", [spec_of("x", "INT64", (1,))], [spec_of("y", "INT64", (1,))])
FILES = {"labels.txt": ("labels", b"a\n"), "kit.json": ("kit", b"{}"), "sbom.json": ("sbom", b"{}")}


@pytest.fixture
def manifest():
    entries = [FileEntry(path=p, role=r, sha256=hash_bytes(d), size=len(d)) for p, (r, d) in FILES.items()]
    label = Labels(input="y", output="label", file="labels.txt")
    return Manifest(
        schema=1,
        name="tiny",
        version="1.0.0",
        min_edged="0.1.0",
        variants=(VARIANT,),
        files=tuple(entries),
        pipeline=Pipeline(inputs=VARIANT.inputs, post=(label,), outputs=(spec_of("label", "BYTES", (1,)),)),
        validation=Validation(kit="kit.json", tolerance=(Tolerance(output="label"),)),
        sbom="sbom.json",
        provenance=Provenance(source="made here", licence="Apache-2.0"),
    )


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"model")
    for path, (_, data) in FILES.items():
        (tmp_path / path).write_bytes(data)
    return tmp_path


def test_the_model_and_the_steps_files_are_opened_and_closed_again(directory, manifest):
    with open_variant(directory, manifest, VARIANT, memory_limit_bytes=1 << 20) as (spec, descriptors):
        contents = [os.pread(descriptor, 100, 0) for descriptor in descriptors]

    assert [(pin.path, pin.role) for pin in spec.files] == [("model.onnx", "model"), ("labels.txt", "labels")]
    assert contents == [b"model", b"a\n"]
    assert spec.memory_limit_bytes == 1 << 20
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_limits_become_part_of_what_the_worker_is_told(directory, manifest):
    sequences = SequenceLimits(most=4, most_per_caller=2, most_bytes=1 << 20, idle_s=5.0)
    with open_variant(directory, manifest, VARIANT, memory_limit_bytes=1 << 20, parallel=3, sequences=sequences) as (
        spec,
        _,
    ):
        assert (spec.parallel, spec.sequences) == (3, sequences)


def test_a_worker_of_which_nothing_else_is_said_runs_one_at_a_time_and_keeps_no_states(directory, manifest):
    with open_variant(directory, manifest, VARIANT, memory_limit_bytes=1 << 20) as (spec, _):
        assert (spec.parallel, spec.sequences.most, spec.sequences.most_bytes) == (1, 0, 0)


def test_a_missing_file_and_a_link_are_refused(directory, manifest):
    """A bundle holds files; a link in its place leads somewhere nobody has verified."""
    (directory / "labels.txt").unlink()
    with (
        pytest.raises(StoreError, match=r"labels\.txt"),
        open_variant(directory, manifest, VARIANT, memory_limit_bytes=1),
    ):
        pass

    (directory / "labels.txt").symlink_to(directory / "kit.json")
    with (
        pytest.raises(StoreError, match=r"labels\.txt"),
        open_variant(directory, manifest, VARIANT, memory_limit_bytes=1),
    ):
        pass
