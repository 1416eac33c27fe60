"""Signed repositories for tests of the updater, made with the publisher's own code around models that do nothing."""

import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

from edged.bundle.manifest import (
    CHUNK_BYTES,
    Budget,
    ChunkIndex,
    FileEntry,
    Manifest,
    Provenance,
    Runtime,
    Targets,
    Tolerance,
    Validation,
    Variant,
)
from edged.codec import encode_canonical
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.spec import TensorSpec
from edged.publish.keys.directory import Keyring
from edged.publish.repository.operations import init_repository, publish_bundle
from edged.publish.repository.roles import Expiry
from edged.store.install import SignedManifest
from tests.fakes.models import identity_model

TENSOR = TensorSpec(name="x", dtype="FP32", shape=(1,))


def some_bytes(size: int, seed: str) -> bytes:
    return random.Random(seed).randbytes(size)


def some_model(size: int, seed: str) -> bytes:
    """Return a model that gives back what it is given, with a comment of random bytes that makes it as large as that."""
    model = identity_model()
    doc_string = 6 << 3 | 2  # of ModelProto; its length follows as a number of 7 bits a byte, here always five bytes
    length = size - len(model) - 6
    head = bytes([doc_string, *(length >> 7 * i & 0x7F | 0x80 for i in range(4)), length >> 28])
    return model + head + some_bytes(length, seed)


def entry_for(path: str, role: str, data: bytes) -> FileEntry:
    """Describe a file as the publisher does."""
    index = None
    if len(data) > CHUNK_BYTES:
        index = hashlib.sha256(encode_canonical(index_for(data))).hexdigest()
    return FileEntry(path=path, role=role, sha256=hashlib.sha256(data).hexdigest(), size=len(data), index=index)


def index_for(data: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> ChunkIndex:
    chunks = [data[i : i + chunk_bytes] for i in range(0, len(data), chunk_bytes)]
    return ChunkIndex(
        schema=1, chunk_bytes=chunk_bytes, size=len(data), sha256=tuple(hashlib.sha256(c).hexdigest() for c in chunks)
    )


def make_manifest(
    files: dict[str, bytes],
    *,
    name: str = "demo",
    version: str = "1.0.0",
    min_edged: str = "0.1.0",
    arch: tuple[str, ...] = ("amd64", "arm64"),
) -> Manifest:
    """Describe a bundle of ``model.onnx``, ``kit.json`` and ``sbom.json``; a second model file ``small.onnx`` becomes a variant, too."""
    variants = [
        Variant(
            id=f"{name}-{version}-{precision}-{arch[0] if len(arch) == 1 else 'any'}",
            tier="quality",
            precision=precision,
            format="onnx",
            files=(entry_for(path, "model", files[path]),),
            targets=Targets(arch=arch),
            runtime=Runtime(name="onnxruntime", version=">=1.20"),
            inputs=(TENSOR,),
            outputs=(TENSOR,),
            budget=Budget(latency_ms=10, memory_bytes=1 << 20),
        )
        for path, precision in (("model.onnx", "fp32"), ("small.onnx", "int8"))
        if path in files
    ]
    return Manifest(
        schema=1,
        name=name,
        version=version,
        min_edged=min_edged,
        variants=tuple(variants),
        files=(
            entry_for("kit/kit.json", "kit", files["kit/kit.json"]),
            entry_for("sbom.json", "sbom", files["sbom.json"]),
        ),
        pipeline=Pipeline(inputs=(TENSOR,), outputs=(TENSOR,)),
        validation=Validation(kit="kit/kit.json", tolerance=(Tolerance(output="x"),)),
        sbom="sbom.json",
        provenance=Provenance(source="made by edged's tests", licence="Apache-2.0"),
    )


def make_files(*, model_bytes: int = 3000, seed: str = "1") -> dict[str, bytes]:
    return {
        "model.onnx": some_model(model_bytes, f"model {seed}"),
        "kit/kit.json": some_bytes(300, f"kit {seed}"),
        "sbom.json": some_bytes(200, f"sbom {seed}"),
    }


def sign_off(manifest: Manifest) -> SignedManifest:
    """Make what the trust layer hands to the store."""
    data = encode_canonical(manifest)
    return SignedManifest(manifest=manifest, data=data, digest=hashlib.sha256(data).hexdigest())


def write_bundle(directory: Path, manifest: Manifest, files: dict[str, bytes]) -> Path:
    """Write a bundle directory."""
    for path, data in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    (directory / "manifest.json").write_bytes(encode_canonical(manifest))
    return directory


class Publisher:
    """A repository in ``directory/repository`` and its keys."""

    def __init__(
        self,
        directory: Path,
        *,
        expiry: Expiry | None = None,
        now: datetime | None = None,
        root_count: int = 1,
        root_threshold: int = 1,
    ) -> None:
        self.directory = directory
        self.root = directory / "repository"
        self.keys = Keyring(directory=directory / "keys")
        self.expiry = expiry or Expiry()
        init_repository(
            self.root,
            self.keys,
            now=now or datetime.now(UTC),
            root_count=root_count,
            root_threshold=root_threshold,
            expiry=self.expiry,
        )

    @property
    def root_metadata(self) -> Path:
        return self.root / "metadata" / "1.root.json"

    def publish(self, manifest: Manifest, files: dict[str, bytes], *, now: datetime | None = None) -> None:
        bundle = write_bundle(self.directory / "bundles" / f"{manifest.name}-{manifest.version}", manifest, files)
        publish_bundle(self.root, bundle, self.keys, now=now or datetime.now(UTC), expiry=self.expiry)

    def release(self, version: str, *, name: str = "demo", model_bytes: int = 3000) -> Manifest:
        """Publish a bundle of random bytes and roll it out."""
        files = make_files(model_bytes=model_bytes, seed=f"{name} {version}")
        manifest = make_manifest(files, name=name, version=version)
        self.publish(manifest, files)
        return manifest

    def metadata(self, role: str) -> str:
        """Return the path of a role's newest metadata file."""
        if role == "timestamp":
            return "metadata/timestamp.json"
        found = (self.root / "metadata").glob(f"*.{role}.json")
        return f"metadata/{max(found, key=lambda p: int(p.name.split('.')[0])).name}"
