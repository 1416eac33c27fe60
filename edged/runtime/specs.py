"""From a bundle directory to what a worker is started with."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from edged.bundle.manifest import Manifest, Variant
from edged.errors import StoreError
from edged.runtime.wire import FilePin, SequenceLimits, WorkerSpec

NO_SEQUENCES: Final = SequenceLimits(most=0, most_per_caller=0, most_bytes=0, idle_s=1.0)


@contextmanager
def open_variant(
    directory: Path,
    manifest: Manifest,
    variant: Variant,
    *,
    memory_limit_bytes: int,
    parallel: int = 1,
    sequences: SequenceLimits | None = None,
    is_background: bool = False,
) -> Iterator[tuple[WorkerSpec, list[int]]]:
    """Open the files that one variant of a bundle runs with.

    Args:
        directory: Holds the files at the manifest's paths.
        manifest: Verified.
        variant: One of the manifest's.
        memory_limit_bytes: Most private memory of the worker: the variant's budget and the configured floor.
        parallel: Most runs at once.
        sequences: What the worker may keep for sequences; None is for a worker that nobody sends any.
        is_background: Nobody waits for its answers.

    Yields:
        The specification, and a descriptor for each of its files in order; closed on leaving.

    Raises:
        StoreError: A file cannot be opened.
    """
    named = dict.fromkeys(path for step in manifest.pipeline.steps for path in step.files)
    entries = [variant.model_file, *(manifest.file(path) for path in named)]
    spec = WorkerSpec(
        name=f"{manifest.name}-{manifest.version}",
        pipeline=manifest.pipeline,
        variant=variant,
        files=tuple(FilePin(path=e.path, role=e.role, sha256=e.sha256, size=e.size) for e in entries),
        memory_limit_bytes=memory_limit_bytes,
        parallel=parallel,
        sequences=sequences or NO_SEQUENCES,
        is_background=is_background,
    )
    with ExitStack() as stack:
        descriptors = []
        for entry in entries:
            path = directory / entry.path
            try:
                descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
            except OSError as exc:
                raise StoreError(f"{path}: {exc.strerror}", hint="The bundle is damaged; fetch it again.") from exc
            stack.callback(os.close, descriptors[-1])
        yield spec, descriptors
