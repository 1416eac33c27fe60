"""The smallest manifest there can be around some files, to be changed by tests."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edged.bundle.manifest import MANIFEST_NAME, Manifest
from edged.bundle.parse import parse_manifest
from edged.codec import encode_canonical
from edged.files import hash_bytes

TENSOR = {"name": "x", "dtype": "FP32", "shape": [1]}
OTHERS = {"models/toy.onnx": ("model", b"no model"), "kit/kit.json": ("kit", b"{}"), "sbom.json": ("sbom", b"{}")}
"""What a bundle has to have."""


def manifest_document(files: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    """Return the manifest of ``toy`` 1.0.0 as a document.

    Args:
        files: Role and content by path; those of ``OTHERS`` whose roles are not among them are listed, too.
    """
    entries = [
        {"path": path, "role": role, "sha256": hash_bytes(data), "size": len(data)}
        for path, (role, data) in sorted(files.items())
    ]
    missing = [
        {"path": path, "role": role, "sha256": hash_bytes(data), "size": len(data)}
        for path, (role, data) in OTHERS.items()
        if not any(entry["role"] == role for entry in entries)
    ]
    everything = entries + missing
    return {
        "schema": 1,
        "name": "toy",
        "version": "1.0.0",
        "min_edged": "0.1.0",
        "variants": [
            {
                "id": "toy-1.0.0-fp32-any",
                "tier": "quality",
                "precision": "fp32",
                "format": "onnx",
                "files": [entry for entry in everything if entry["role"] == "model"],
                "targets": {"arch": ["amd64", "arm64"]},
                "runtime": {"name": "onnxruntime", "version": ">=1.20"},
                "inputs": [TENSOR],
                "outputs": [TENSOR],
                "budget": {"latency_ms": 1000, "memory_bytes": 1 << 27},
            }
        ],
        "files": [entry for entry in everything if entry["role"] != "model"],
        "pipeline": {"inputs": [TENSOR], "outputs": [TENSOR]},
        "validation": {
            "kit": next(entry["path"] for entry in everything if entry["role"] == "kit"),
            "tolerance": [{"output": "x"}],
        },
        "sbom": next(entry["path"] for entry in everything if entry["role"] == "sbom"),
        "provenance": {"source": "made for tests", "licence": "Apache-2.0"},
    }


def toy_manifest(**changes: object) -> Manifest:
    """Return the manifest of ``toy`` around ``OTHERS``, with some of its fields changed."""
    return parse_manifest(json.dumps(manifest_document(OTHERS) | changes).encode(), source="toy")


def write_toy(directory: Path, manifest: Manifest) -> None:
    """Write ``toy`` as the directory of a bundle."""
    for path, (_, data) in OTHERS.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    (directory / MANIFEST_NAME).write_bytes(encode_canonical(manifest))
