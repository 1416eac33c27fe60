"""What a fleet fetches, computed by the rules of devices."""

import pytest

from edged.publish.fleet.rollout import STEPS
from edged.publish.planning.traffic import (
    HEADS_BYTES,
    POLL_BYTES,
    Download,
    Plan,
    architectures,
    machines_of,
    polls_per_month,
    steps_of,
)
from tests.fakes.repositories import make_files, make_manifest

FILES = {**make_files(), "small.onnx": b"s" * 1000}
FIRST = (Download(name="timestamp", size=400), Download(name="role", size=600))
FURTHER = FIRST[:1]


def machines(files=FILES, shares=None, **options):
    manifest = make_manifest(files)
    return machines_of(manifest, shares or {"amd64": 1.0}, **{"held": None, "sizes": {}, **options})


def names(machine):
    return [file.name for file in machine.files]


def test_a_device_fetches_every_variant_that_it_can_use_and_what_they_share():
    (machine,) = machines()

    assert sorted(names(machine)) == ["kit/kit.json", "model.onnx", "sbom.json", "small.onnx"]
    assert machine.bytes == sum(len(data) for data in FILES.values()) + 4 * HEADS_BYTES


def test_files_that_a_device_has_with_another_version_are_not_fetched_again():
    held = make_manifest({**FILES, "model.onnx": make_files(seed="2")["model.onnx"]}, version="0.9.0")
    (machine,) = machines(held=held)

    assert names(machine) == ["model.onnx"]


def test_a_delta_from_a_file_that_the_device_has_is_taken_where_it_is_smaller():
    held = make_manifest({**FILES, "model.onnx": make_files(seed="2")["model.onnx"]}, version="0.9.0")
    new = make_manifest(FILES)
    before, after = (manifest.variants[0].files[0].sha256 for manifest in (held, new))

    (smaller,) = machines(held=held, sizes={f"deltas/{before}-{after}.edelta": 70})
    (larger,) = machines(held=held, sizes={f"deltas/{before}-{after}.edelta": 9_000_000})

    assert smaller.files[0].size == 70
    assert larger.files[0].size == len(FILES["model.onnx"])


def test_a_processor_that_the_version_is_not_for_fetches_nothing():
    manifest = make_manifest(FILES, arch=("arm64",))
    amd64, arm64 = machines_of(manifest, {"amd64": 0.5, "arm64": 0.5}, held=None, sizes={})

    assert (amd64.bytes, amd64.variants) == (0, ())
    assert arm64.bytes > 0
    assert architectures(manifest) == ["arm64"]


@pytest.mark.parametrize("devices", [1, 7, 99, 100, 12_345])
def test_the_steps_together_reach_every_device_once(devices):
    steps = steps_of(devices, machines(), first=FIRST, further=FURTHER)

    assert sum(step.devices for step in steps) == devices
    assert sum(step.bundle_bytes for step in steps) == devices * machines()[0].bytes


def test_the_steps_are_those_that_advancing_takes_with_its_end():
    steps = steps_of(1000, machines(), first=FIRST, further=FURTHER)

    assert [step.percent for step in steps] == [*STEPS, None]
    assert [step.devices for step in steps] == [10, 90, 150, 250, 500, 0]


def test_every_device_fetches_what_is_signed_at_every_step():
    steps = steps_of(100, machines(), first=FIRST, further=FURTHER)

    assert steps[0].metadata_bytes == 100 * (1000 + 2 * HEADS_BYTES)
    assert {step.metadata_bytes for step in steps[1:]} == {100 * (400 + HEADS_BYTES)}


def test_a_month_is_its_updates_and_its_polls():
    plan = Plan(
        devices=100,
        updates_per_month=2.0,
        machines=machines(),
        steps=steps_of(100, machines(), first=FIRST, further=FURTHER),
        polls_per_month=polls_per_month(60.0),
        poll_bytes=POLL_BYTES,
    )

    assert polls_per_month(60.0) == pytest.approx(51_565, abs=1)
    assert plan.month_bytes == pytest.approx(2 * plan.rollout_bytes + 100 * 51_564.7 * 321, rel=1e-6)
