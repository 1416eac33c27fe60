"""What a device makes of its disk after a power cut: the daemon's and the store's own code, on what a test laid out for it."""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from edged.bundle.read import read_bundle, verify_files
from edged.codec import decode_json
from edged.errors import EdgedError
from edged.ids import Digest, ModelName
from edged.ops.rollout import Rollout
from edged.store.slots import Slots, SlotState
from edged.store.state import StateDb
from tests.fakes.power_cuts import Tree

BUNDLES = "store/bundles/"
ROLLOUT = "store/ops/rollout.json"


class NotRecoveredError(AssertionError):
    """The device would serve nothing, or nothing verified."""


class Recovery:
    """Looks at states of a device's disk; ``scratch`` is on a file system in memory, because there are many.

    What was looked at before is not looked at again: most states differ in few files.
    """

    def __init__(self, scratch: Path, *, versions: Iterable[str]) -> None:
        self._scratch = scratch
        self._versions = set(versions)
        self._bundles: dict[int, tuple[Digest, frozenset[str]] | str] = {}
        self._slots: dict[int, Mapping[ModelName, Slots] | str] = {}
        self._rollouts: dict[bytes | None, str] = {}

    def check(self, tree: Tree) -> None:
        """Make sure of all that has to be true, whenever the power went.

        Raises:
            NotRecoveredError: The rollout document is lost, a bundle is there in part, the state is lost, or a slot that is active or could
                become active again names something that the store does not hold whole, or another version than before and after.
        """
        if trouble := self._in_rollout(tree.get(ROLLOUT)):
            raise NotRecoveredError(f"{ROLLOUT}: {trouble}")
        bundles = {name: self._bundle(files) for name, files in _bundles_in(tree).items()}
        for name, found in bundles.items():
            if isinstance(found, str):
                raise NotRecoveredError(f"{name}: {found}")
        models = self._read_slots({name[6:]: data for name, data in tree.items() if name.startswith("state/")})
        if isinstance(models, str) or not models:
            raise NotRecoveredError(f"state.db: {models or 'the slots are lost'}")
        for model, slots in models.items():
            self._check_slots(model, slots, bundles)

    def _check_slots(self, model, slots, bundles) -> None:
        if slots.active_slot is None:
            raise NotRecoveredError(f"nothing is active of {model}")
        if str(slots.active_slot.content.version) not in self._versions:
            raise NotRecoveredError(f"{slots.active_slot.content.version} is active")
        for slot in (slots.a, slots.b):
            if slot is slots.active_slot or slot.state is SlotState.FALLBACK:
                self._check_slot(model, slot, bundles)

    def _check_slot(self, model, slot, bundles) -> None:
        content = slot.content
        found = bundles.get(f"{model}/{content.version}")
        if found is None:
            raise NotRecoveredError(f"the {slot.state} slot names {content.version}, which is not in the store")
        digest, variants = found
        if digest != content.digest or content.variant not in variants:
            raise NotRecoveredError(f"the {slot.state} slot names another {content.version} than the store holds")

    def _in_rollout(self, data: bytes | None) -> str:
        if data not in self._rollouts:
            self._rollouts[data] = ""
            try:
                decode_json(Rollout, data or b"", source="rollout")
            except EdgedError as exc:
                self._rollouts[data] = str(exc)
        return self._rollouts[data]

    def _bundle(self, files: Tree) -> tuple[Digest, frozenset[str]] | str:
        """Read and hash a bundle as the daemon does, and give its identity and its variants, or what is wrong."""
        key = hash(frozenset(files.items()))
        if key not in self._bundles:
            directory = lay_out(self._scratch / "bundle", files)
            try:
                bundle = read_bundle(directory)
                verify_files(bundle, bundle.manifest.files_for(bundle.manifest.variants))
                self._bundles[key] = bundle.digest, frozenset(variant.id for variant in bundle.variants)
            except (EdgedError, OSError) as exc:
                self._bundles[key] = str(exc)
        return self._bundles[key]

    def _read_slots(self, files: Tree) -> Mapping[ModelName, Slots] | str:
        """Open the state as the daemon does."""
        key = hash(frozenset(files.items()))
        if key not in self._slots:
            directory = lay_out(self._scratch / "state", files)
            try:
                with closing(StateDb.open(directory / "state.db")) as state:
                    self._slots[key] = state.read_slots()
            except EdgedError as exc:
                self._slots[key] = str(exc)
            if any(path.name.endswith(".damaged") for path in directory.iterdir()):
                self._slots[key] = "it counts as damaged"
        return self._slots[key]


def lay_out(directory: Path, tree: Tree) -> Path:
    """Make a directory hold a tree and nothing else."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for name in sorted(tree):
        if (data := tree[name]) is None:
            (directory / name).mkdir()
        else:
            (directory / name).write_bytes(data)
    return directory


def tree_of(directory: Path) -> Tree:
    """Return what a directory holds."""
    paths = ((path, os.path.relpath(path, directory)) for path in directory.rglob("*"))
    return {name: None if path.is_dir() else path.read_bytes() for path, name in paths}


def _bundles_in(tree: Tree) -> dict[str, dict[str, bytes | None]]:
    """Return what is under the name of each version: by ``MODEL/VERSION``, the files by their paths."""
    found: dict[str, dict[str, bytes | None]] = {}
    for name, data in tree.items():
        if name.startswith(BUNDLES):
            model, _, rest = name.removeprefix(BUNDLES).partition("/")
            version, _, path = rest.partition("/")
            if version:
                files = found.setdefault(f"{model}/{version}", {})
                if path:
                    files[path] = data
    return found
