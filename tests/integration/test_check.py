"""The device's own check of a candidate: the same kit and the same judgement as at the publisher's, in a worker under a device's limits."""

import asyncio

import pytest
from msgspec import structs

from edged.bundle.edgeb import read_manifest
from edged.bundle.read import InstalledBundle
from edged.config.schema import WorkerConfig
from edged.daemon.lifecycle.check import check_model
from edged.daemon.serving.keeper import Loadable
from edged.errors import ValidationFailedError
from edged.files import hash_bytes
from edged.host.template import Template
from edged.runtime.specs import open_variant
from tests.fakes.bundles import SAMPLES, make_bundle
from tests.fakes.patience import PATIENCE_S


async def checked(directory, **budget):
    """Check the bundle in a directory with another budget; return how often it was said that things go on."""
    data, manifest = read_manifest(directory)
    variant = structs.replace(manifest.variants[0], budget=structs.replace(manifest.variants[0].budget, **budget))
    bundle = InstalledBundle(manifest=manifest, digest=hash_bytes(data), directory=directory, variants=(variant,))
    limit = WorkerConfig().memory_floor_bytes + variant.budget.memory_bytes
    beats = []
    async with asyncio.timeout(PATIENCE_S), Template() as template:
        with open_variant(directory, manifest, variant, memory_limit_bytes=limit) as (spec, files):
            worker = await template.start_worker(spec, files, timeout_s=PATIENCE_S)
        async with worker:
            loadable = Loadable(bundle=bundle, variant=variant)
            await check_model(loadable, worker, timeout_s=PATIENCE_S, beat=lambda: beats.append(1))
    return len(beats)


async def test_a_good_candidate_passes_and_every_sample_is_a_sign_of_life(tmp_path):
    assert await checked(make_bundle(tmp_path)) == len(SAMPLES)


async def test_a_candidate_that_needs_more_memory_than_its_budget_is_refused(tmp_path):
    """Also when the system would let it have that much: what the budget says is what the device plans with."""
    with pytest.raises(ValidationFailedError, match=r"^needs [0-9.]+ MiB of memory, the budget is 0\.1 MiB$"):
        await checked(make_bundle(tmp_path), memory_bytes=65536)


async def test_a_candidate_that_answers_otherwise_is_refused_with_the_first_reasons(tmp_path):
    with pytest.raises(ValidationFailedError, match=r"^sample empty\.bin, output sum: .*; and 1 more$"):
        await checked(make_bundle(tmp_path, golden_offset=1.0))
