"""What a fleet's operators sign: whole documents, also such as ``edge-publish`` would not write."""

from collections.abc import Mapping
from datetime import UTC, datetime

from edged.codec import encode_canonical
from edged.ops.stop import Stop, Stops
from tests.fakes.forgers import Forger
from tests.fakes.repositories import Publisher

ONLINE = ("ops", "stop", "snapshot", "timestamp")


def issued(at: datetime | None = None) -> str:
    return (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Operator:
    """Holds the online keys of a repository, and those of the models named."""

    def __init__(self, publisher: Publisher, *models: str) -> None:
        self._forger = Forger(publisher.root, publisher.keys, {*ONLINE, *(f"model-{model}" for model in models)})

    def sign(self, path: str, document: object) -> bytes:
        """Sign a document as it is, and return its bytes; the role is the first part of its path."""
        data = document if isinstance(document, bytes) else encode_canonical(document)
        role = path.partition("/")[0]
        self._forger.target(role, path, data)
        self._forger.pin(role)
        return data

    def withdraw(self, path: str) -> None:
        """List a document no more."""
        role = path.partition("/")[0]
        self._forger.sign(role, lambda signed: signed.targets.pop(path))
        self._forger.pin(role)

    def stop(self, *models: str, serial: int, at: datetime | None = None) -> bytes:
        """Stop these models and no others."""
        since = issued(at)
        stopped = {model: Stop(reason="it is wrong", since=since) for model in models}
        return self.sign("stop/stop.json", Stops(schema=1, issued=since, serial=serial, models=stopped))

    def roll_out(self, models: Mapping[str, object]) -> bytes:
        """Say which versions of which models run, as the parts of the rollout document."""
        return self.sign("ops/rollout.json", {"schema": 1, "issued": issued(), "models": dict(models)})

    def set_flags(self, flags: Mapping[str, object]) -> bytes:
        return self.sign("ops/flags.json", {"schema": 1, "issued": issued(), "flags": dict(flags)})

    def say_of(self, model: str, version: str, **custom: object) -> None:
        """Let a model's role say something about one of its versions."""
        role = f"m-{model}"

        def change(signed: object) -> None:
            target = signed.targets[f"models/{model}/{version}/manifest.json"]
            target.unrecognized_fields["custom"] = custom

        self._forger.sign(role, change)
        self._forger.pin(role)
