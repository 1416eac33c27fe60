"""The bill of materials of a bundle: CycloneDX 1.6, with each variant as a machine-learning-model component.

The library writes what it has types for; model cards and the descriptions of data are added to its document, as CycloneDX 1.6 defines
them ("modelCard", "componentData"). The same bundle gives the same bytes with every version of the library: references follow from paths
and names, the serial number is derived from the content, and the time is that of SOURCE_DATE_EPOCH
(reproducible-builds.org) or absent.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType, Pedigree
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.license import LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion

from edged.bundle.manifest import FileEntry, Metric, Provenance, Role, Variant
from edged.codec import encode_canonical, encode_readable
from edged.files import hash_bytes
from edged.pipeline.spec import TensorSpec

SBOM_PATH: Final = "sbom.cdx.json"
# Made once for this purpose; a name-based UUID (RFC 9562, version 5) needs a namespace of its own.
_NAMESPACE: Final = UUID("3e1f2f5c-9a4e-4f0b-8a57-51f6e2a1f8d3")
_DATA: Final[Mapping[Role, str]] = {
    "kit": "What the model has to answer to the samples, and how it was found.",
    "sample": "A request of the validation kit.",
}
"""Roles of files that are data in the sense of CycloneDX, and what they are."""


def make_sbom(
    *,
    name: str,
    version: str,
    provenance: Provenance,
    variants: Sequence[Variant],
    files: Sequence[FileEntry],
    tools: Mapping[str, str] = MappingProxyType({}),
    built_unix_s: int | None = None,
) -> bytes:
    """List every variant and every file of a bundle but the manifest and this list itself, which the manifest pins.

    Args:
        name: The model's name.
        version: The bundle's version.
        provenance: Licence, source and supplier of the model.
        variants: All of them.
        files: The files that the variants share.
        tools: Versions by name of what made the bundle.
        built_unix_s: When it was built, Unix seconds; None leaves the time out.
    """
    entries = sorted(files, key=lambda entry: entry.path)
    content = encode_canonical([name, version, provenance, list(variants), entries, dict(tools)])
    licence = [LicenseExpression(provenance.licence)]
    supplier = OrganizationalEntity(name=provenance.supplier) if provenance.supplier else None
    bundle = Component(
        name=name,
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"bundle:{name}@{version}",
        description=provenance.source,
        licenses=licence,
        supplier=supplier,
    )
    bom = Bom(
        serial_number=uuid5(_NAMESPACE, hash_bytes(content)),
        metadata=BomMetaData(
            component=bundle,
            timestamp=datetime.fromtimestamp(built_unix_s or 0, tz=UTC),
            tools=ToolRepository(components=[_tool(*item) for item in tools.items()]),
        ),
    )
    names = {variant.model_file.sha256: variant.id for variant in variants}
    for variant in variants:
        model = _model(variant, version, names, licenses=licence, supplier=supplier)
        beside = [_file(entry, version) for entry in variant.files if entry.role != "model"]
        bom.components.update([model, *beside])
        bom.register_dependency(model, beside)
    bom.components.update(_file(entry, version) for entry in entries)
    bom.register_dependency(bundle, bom.components)
    document = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    if built_unix_s is None:
        del document["metadata"]["timestamp"]
    _describe(document, {_model_ref(variant): variant for variant in variants}, entries)
    return encode_readable(document)


def _tool(name: str, version: str) -> Component:
    return Component(name=name, version=version, type=ComponentType.APPLICATION)


def _model_ref(variant: Variant) -> str:
    return f"variant:{variant.id}"


def _file_ref(entry: FileEntry) -> str:
    return f"file:{entry.path}"


def _sha256(digest: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]


def _model(variant: Variant, version: str, names: Mapping[str, str], **shared: Any) -> Component:
    file = variant.model_file
    facts = {
        "path": file.path,
        "format": variant.format,
        "precision": variant.precision,
        "tier": variant.tier,
        "arch": " ".join(variant.targets.arch),
        "runtime": f"{variant.runtime.name} {variant.runtime.version}",
    }
    return Component(
        name=variant.id,
        version=version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=_model_ref(variant),
        hashes=_sha256(file.sha256),
        properties=[Property(name=f"edged:{key}", value=value) for key, value in facts.items()],
        pedigree=_pedigree(variant, names),
        **shared,
    )


def _pedigree(variant: Variant, names: Mapping[str, str]) -> Pedigree | None:
    origin = variant.origin
    if origin is None:
        return None
    ancestors = []
    if origin.made_from is not None:
        ancestors.append(
            Component(
                name=names.get(origin.made_from, f"sha256:{origin.made_from}"),
                type=ComponentType.MACHINE_LEARNING_MODEL,
                bom_ref=f"ancestor:{variant.id}",
                hashes=_sha256(origin.made_from),
            )
        )
    return Pedigree(ancestors=ancestors, notes=origin.method)


def _file(entry: FileEntry, version: str) -> Component:
    return Component(
        name=entry.path,
        version=version,
        type=ComponentType.DATA if entry.role in _DATA else ComponentType.FILE,
        bom_ref=_file_ref(entry),
        hashes=_sha256(entry.sha256),
        properties=[Property(name="edged:role", value=entry.role)],
    )


def _describe(document: dict[str, Any], models: Mapping[str, Variant], files: Sequence[FileEntry]) -> None:
    """Add model cards and descriptions of data, for which the library has no types."""
    data = {_file_ref(entry): entry for entry in files if entry.role in _DATA}
    kits = [{"ref": ref} for ref, entry in data.items() if entry.role == "kit"]
    for component in document["components"]:
        ref = component["bom-ref"]
        if ref in models:
            component["modelCard"] = _model_card(models[ref], kits)
        elif ref in data:
            # Whoever gets the bundle gets them.
            component["data"] = [
                {
                    "type": "dataset",
                    "name": data[ref].path,
                    "classification": "public",
                    "description": _DATA[data[ref].role],
                }
            ]


def _model_card(variant: Variant, datasets: Sequence[Mapping[str, str]]) -> dict[str, object]:
    card: dict[str, object] = {
        "modelParameters": {
            "datasets": list(datasets),
            "inputs": [{"format": _format(spec)} for spec in variant.inputs],
            "outputs": [{"format": _format(spec)} for spec in variant.outputs],
        }
    }
    if variant.metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": list(_performance(variant.metrics))}
    return card


def _format(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} [{', '.join('any' if axis < 0 else str(axis) for axis in spec.shape)}]"


def _performance(metrics: Sequence[Metric]) -> Iterator[dict[str, str]]:
    for metric in metrics:
        circle = f", period {metric.period:g}" if metric.period is not None else ""
        yield {
            "type": metric.metric,
            "value": f"{metric.value:.6g}",
            "slice": f"output {metric.output}, {metric.samples} samples{circle}",
        }
