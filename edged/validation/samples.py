"""A bundle's validation kit as it lies in a directory: read, checked against the manifest, and turned into requests.

One sample at a time: a kit may have hundreds of megabytes of samples, and the device's daemon few to spare.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from edged.bundle.kit import Golden, Kit, Sample, SampleInput
from edged.bundle.manifest import Manifest
from edged.codec import decode_json
from edged.errors import BundleError, ManifestError, StoreError
from edged.files import read_limited
from edged.pipeline.datatypes import NUMBERS, pack, pack_bytes, size_bytes, unpack
from edged.pipeline.spec import TensorSpec
from edged.runtime.tensors import Tensor
from edged.validation.fit import check_kit

MAX_KIT_BYTES: Final = 64 << 20
MAX_SAMPLE_BYTES: Final = 64 << 20


def read_kit(directory: Path, manifest: Manifest) -> Kit:
    """Read a bundle's kit and check that it can be run on the bundle's pipeline.

    Raises:
        ManifestError: It is not a kit.
        BundleError: It does not fit the bundle, as ``check_kit`` finds.
        StoreError: It cannot be read.
    """
    path = directory / manifest.validation.kit
    kit = decode_json(Kit, _read(path, MAX_KIT_BYTES), source=str(path), error=ManifestError)
    check_kit(kit, manifest, source=str(path))
    return kit


def read_sample(directory: Path, inputs: Sequence[TensorSpec], sample: Sample) -> list[Tensor]:
    """Read a sample as the tensors of a request.

    Args:
        directory: That its paths are relative to.
        inputs: Of the pipeline; the sample was found to be a request to it.
        sample: To read.

    Raises:
        StoreError: A file cannot be read.
    """
    specs = {spec.name: spec for spec in inputs}
    if sample.input is not None:
        data = _read(directory / sample.input, MAX_SAMPLE_BYTES)
        return [Tensor(name=next(iter(specs)), dtype="BYTES", shape=(1,), data=pack_bytes([data]))]
    return [
        Tensor(name=item.name, dtype=specs[item.name].dtype, shape=item.shape, data=_content(directory, item, specs))
        for item in sample.inputs
    ]


def read_golden(directory: Path, sample: Sample) -> Sample:
    """Return a sample with all its golden outputs as data.

    Raises:
        BundleError: A file does not have the values of its datatype and shape.
        StoreError: A file cannot be read.
    """
    if all(golden.file is None for golden in sample.golden):
        return sample
    return structs.replace(sample, golden=tuple(_with_data(directory, sample, golden) for golden in sample.golden))


def _with_data(directory: Path, sample: Sample, golden: Golden) -> Golden:
    if golden.file is None:
        return golden
    data = _read(directory / golden.file, MAX_SAMPLE_BYTES)
    where = f"{sample.name}: golden {golden.name}: {golden.file}"
    if len(data) != (wanted := size_bytes(golden.dtype, golden.shape)):
        raise BundleError(f"{where} has {len(data)} bytes, {golden.dtype} {list(golden.shape)} has {wanted}")
    values = unpack(golden.dtype, data)
    if not all(map(math.isfinite, values)):
        raise BundleError(f"{where} has NaN or infinities, which no answer may have")
    return structs.replace(golden, data=values, file=None)


def _content(directory: Path, item: SampleInput, specs: Mapping[str, TensorSpec]) -> bytes:
    if item.file is not None:
        return _read(directory / item.file, MAX_SAMPLE_BYTES)
    dtype = specs[item.name].dtype
    # In JSON, 1.0 is an integer, too.
    number = float if NUMBERS[dtype].is_float else int
    return pack(dtype, [number(value) for value in item.data or ()])


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        return read_limited(path, max_bytes=max_bytes)
    except OSError as exc:
        raise StoreError(f"{path}: {exc.strerror}", hint="The bundle is damaged; fetch it again.") from exc
