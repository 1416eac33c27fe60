"""A publisher's past, present and future, a device that has followed up to the present, and a mirror that belongs to an attacker.

==========  ============================================================================================================
first       demo 1.0.0 and other 1.0.0; a lease for ``other``, so that there is a stop document
second      demo 1.1.0 and other 1.1.0; no demo below 1.1.0 may run any more; ``other`` is stopped. What the device knows.
third       demo 1.2.0: what an honest host would show next
==========  ============================================================================================================

The root needs 3 of 5 keys. Everything is made with the publisher's own code; what an attacker makes is made by ``forgers.Forger``.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from securesystemslib.signer import CryptoSigner

from edged.bundle.manifest import Manifest
from edged.bundle.read import read_bundle, verify_files
from edged.errors import EdgedError
from edged.ids import ModelName, Version
from edged.ops.stop import Stops
from edged.publish.fleet.stop import set_lease, stop_model
from edged.publish.repository.changing import Repository
from edged.publish.repository.fleet import change_stops, set_floor
from edged.publish.repository.tree import Tree
from tests.fakes.clocks import ManualClock
from tests.fakes.forgers import Forger
from tests.fakes.gates import RunningGate, running_gate
from tests.fakes.repositories import Publisher
from tests.fakes.static_host import StaticHost, static_host
from tests.fakes.updates import Device, device

STAGES = ("first", "second", "third")
ONLINE = ("timestamp", "snapshot")
"""The keys that a publisher's server needs for whatever else it signs."""
CHUNKED_BYTES = 1_100_000
"""Two chunks: the model file of 1.2.0, which has an index."""


@dataclass(frozen=True)
class Past:
    """What is made once: the publisher, a tree for each stage, and the store of a device that knows the second."""

    publisher: Publisher
    trees: Path
    store: Path
    newest: Manifest
    """Of demo 1.2.0."""


def make_past(directory: Path) -> Past:
    publisher = Publisher(directory / "publisher", root_count=5, root_threshold=3)
    demo, other = ModelName("demo"), ModelName("other")

    def keep(stage: str) -> None:
        shutil.copytree(publisher.root, directory / "trees" / stage)

    def repository() -> Repository:
        return Repository(tree=Tree(publisher.root), keys=publisher.keys, now=datetime.now(UTC))

    def stop(stops: Stops, since: str) -> Stops:
        return stop_model(stops, "other", reason="it sees ghosts", versions=(), action="refuse", since=since)

    for model in (demo, other):
        publisher.release("1.0.0", name=model)
    change_stops(repository(), other, lambda stops, _: set_lease(stops, "other", 48))
    keep("first")
    for model in (demo, other):
        publisher.release("1.1.0", name=model)
    set_floor(repository(), demo, Version.parse("1.1.0"))
    change_stops(repository(), other, stop)
    keep("second")
    newest = publisher.release("1.2.0", model_bytes=CHUNKED_BYTES)
    keep("third")

    store = directory / "store"
    with served(directory / "trees/first") as (web, gate):
        for stage in STAGES[:2]:
            web.root = directory / "trees" / stage
            with device(store, web, gate, root=publisher.root_metadata) as it:
                assert it.poll().undone == ()
            assert len(it.installed()) == 2 * (STAGES.index(stage) + 1)
    return Past(publisher, directory / "trees", store, newest)


@contextmanager
def served(root: Path) -> Iterator[tuple[StaticHost, RunningGate]]:
    with ExitStack() as stack:
        web = stack.enter_context(static_host(root))
        yield web, stack.enter_context(running_gate(allow_private=[f"{web.name}:{web.port}"]))


class Scene:
    """One attack on a copy of all that."""

    def __init__(self, directory: Path, past: Past, web: StaticHost, gate: RunningGate) -> None:
        self.past = past
        self.store = directory / "store"
        self.web = web
        self._gate = gate
        self._mirror = directory / "mirror"
        shutil.copytree(past.store, self.store)
        self.show("second")
        self._before = self.acted_on()

    def show(self, stage: str) -> None:
        """Let the mirror be what was published then."""
        self.web.heal()
        self.web.root = self.past.trees / stage

    @property
    def mirror(self) -> Path:
        """What the host shows; from the first look at it on, a copy that may be changed."""
        if self.web.root != self._mirror:
            shutil.rmtree(self._mirror, ignore_errors=True)
            shutil.copytree(self.web.root, self._mirror)
            self.web.root = self._mirror
        return self._mirror

    def file(self, stage: str, role: str) -> bytes:
        """Return the newest metadata of a role as it was then."""
        return Forger(self.past.trees / stage, self.past.publisher.keys).path(role).read_bytes()

    def thief(self, *stolen: str) -> Forger:
        """Somebody who writes to the mirror and has these keys."""
        return Forger(self.mirror, self.past.publisher.keys, stolen)

    def forget(self) -> None:
        """Make the device a new one, which knows nothing but the first root."""
        shutil.rmtree(self.store)
        self._before = self.acted_on()

    @contextmanager
    def device(self, *, days_later: float = 0, **options) -> Iterator[Device]:
        if days_later:
            options["clock"] = ManualClock(unix_s=datetime.now(UTC).timestamp() + days_later * 86_400)
        with device(self.store, self.web, self._gate, root=self.past.publisher.root_metadata, **options) as it:
            yield it

    def poll(self, **options) -> set[str]:
        """Poll once; return the codes of what the device shows, nothing when it finds all well."""
        with self.device(**options) as it:
            try:
                return {one.error.code for one in it.poll().undone}
            except EdgedError as error:
                return {error.code}

    def acted_on(self) -> dict[str, bytes]:
        """Return every byte of the store that the daemon could act on; when something was seen is none of it."""
        files = [p for top in ("bundles", "ops") for p in (self.store / top).rglob("*") if p.is_file()]
        found = {str(path.relative_to(self.store)): path.read_bytes() for path in files}
        if "ops/standing.json" in found:
            floors = json.loads(found["ops/standing.json"]).get("floors", {})
            found["ops/standing.json"] = json.dumps(floors, sort_keys=True).encode()
        return found

    def changed(self) -> set[str]:
        """Return what the daemon could act on and is different now; bundles that were there before are hashed for that."""
        after = self.acted_on()
        for model, version in (("demo", "1.1.0"), ("other", "1.1.0")):
            if f"bundles/{model}/{version}/manifest.json" in self._before:
                intact = read_bundle(self.store / "bundles" / model / version)
                verify_files(intact, intact.manifest.files_for(intact.manifest.variants))
        return {path for path in self._before.keys() | after.keys() if self._before.get(path) != after.get(path)}

    def recovers(self) -> bool:
        """Tell whether the device takes 1.2.0 from an honest host afterwards, and finds all well."""
        self.show("third")
        return self.poll() == set() and (self.store / "bundles/demo/1.2.0").is_dir()

    def publish_root(self, change, *, signers=(1, 2, 3)) -> None:
        """Sign and show the next root."""
        keys = self.past.publisher.keys
        self.thief().sign("root", change, signers=[keys.signer(f"root-{number}") for number in signers])

    def take_keys_away(self, *roles: str) -> Forger:
        """Give top-level roles new keys in the next root; return the publisher, who has them and works on the mirror from now on."""
        new = {role: CryptoSigner.generate_ed25519() for role in roles}

        def change(root) -> None:
            for role, signer in new.items():
                for keyid in list(root.roles[role].keyids):
                    root.revoke_key(keyid, role)
                root.add_key(signer.public_key, role)

        self.publish_root(change)
        everything = ("targets", "snapshot", "timestamp", "ops", "stop", "model-demo", "model-other")
        owner = self.thief(*everything)
        known = owner.signer
        owner.signer = lambda name: new.get(name) or known(name)
        return owner
