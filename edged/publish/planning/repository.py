"""What a plan needs of a repository: the manifests of versions, and the sizes of the files that devices fetch with them."""

from collections.abc import Mapping

from edged.bundle.manifest import Manifest
from edged.bundle.parse import parse_manifest
from edged.errors import ModelUnknownError
from edged.ids import ModelName, Version
from edged.publish.planning.traffic import Download
from edged.publish.repository.documents import ROLLOUT
from edged.publish.repository.roles import OPS, manifest_path, model_role
from edged.publish.repository.state import TIMESTAMP_PATH, State, metadata_path, read_target, target_location
from edged.publish.repository.tree import Tree


def read_manifest(tree: Tree, state: State, model: ModelName, version: Version) -> Manifest:
    """Read the manifest of a published version.

    Raises:
        ModelUnknownError: It is not published here.
        TrustError: The file is not what was signed.
        ManifestError: It does not follow the schema.
    """
    path, role = manifest_path(model, version), model_role(model)
    data = read_target(tree, state, role, path) if role in state.targets else None
    if data is None:
        raise ModelUnknownError(
            f"{model} {version} is not published in {tree.root}", hint="Publish it first: edge-publish publish."
        )
    return parse_manifest(data, source=path)


def sizes_of(tree: Tree) -> Mapping[str, int]:
    """Return the size of each chunk index and delta of a repository, by its path."""
    return {
        path.relative_to(tree.root).as_posix(): path.stat().st_size
        for part in ("index", "deltas")
        for path in (tree.root / part).rglob("*")
        if path.is_file()
    }


def metadata_of(
    tree: Tree, state: State, model: ModelName, version: Version
) -> tuple[tuple[Download, ...], tuple[Download, ...]]:
    """Return what devices fetch beside a version's files: with the first step of its rollout, and with each step after that."""
    paths = [
        TIMESTAMP_PATH,
        metadata_path("snapshot", state.timestamp.snapshot_meta.version),
        metadata_path(OPS, state.snapshot.meta[f"{OPS}.json"].version),
        *_target(state, OPS, ROLLOUT.path),
    ]
    role = model_role(model)
    signing = [
        metadata_path(role, state.snapshot.meta[f"{role}.json"].version),
        *_target(state, role, manifest_path(model, version)),
    ]
    further = tuple(_download(tree, path) for path in paths)
    return (*further, *(_download(tree, path) for path in signing)), further


def _target(state: State, role: str, path: str) -> list[str]:
    listed = state.targets[role].targets.get(path)
    return [] if listed is None else [target_location(path, listed.hashes["sha256"])]


def _download(tree: Tree, path: str) -> Download:
    return Download(name=path, size=(tree.root / path).stat().st_size)
