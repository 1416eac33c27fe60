"""What edgectl asks on the administrators' socket: rollbacks, candidates to go on at once, overrides of the policy, and the history."""

import urllib.parse
from pathlib import Path
from typing import TypeVar

import msgspec

from edged.api.documents.policy import (
    CLEAR_PATH,
    OVERRIDE_PATH,
    ClearRequest,
    OverrideRequest,
    OverridesDocument,
    OverrideStatus,
)
from edged.api.documents.updates import APPLY_PATH, HISTORY_PATH, ROLLBACK_PATH, Apply, Rollback, Switched
from edged.cli.http import Client
from edged.codec import decode_json
from edged.config.schema import PathsConfig
from edged.policy.document import Then
from edged.store.history import History

T = TypeVar("T")


class Steering:
    """Asks the daemon what only administrators may.

    Args:
        socket_path: The socket that edgectl was told, or has chosen. The apps' socket stands for the administrators' own beside it, so
            that who may not open that is told so.
    """

    def __init__(self, socket_path: str) -> None:
        self._client = Client(administrators_socket(socket_path))

    def rollback(self, model: str, *, reason: str) -> Switched:
        """Turn a model's active version down.

        Raises:
            EdgedError: What the daemon answered.
        """
        return self._post(ROLLBACK_PATH, Rollback(model=model, reason=reason), Switched)

    def apply(self, model: str, *, version: str | None = None) -> Switched:
        """Let a model's candidate go on at once.

        Raises:
            EdgedError: What the daemon answered.
        """
        return self._post(APPLY_PATH, Apply(model=model, version=version), Switched)

    def history(self, *, model: str, limit: int) -> History:
        """Return what happened, newest first; an empty ``model`` means all.

        Raises:
            EdgedError: What the daemon answered.
        """
        query = urllib.parse.urlencode({"model": model, "limit": limit})
        return self._ask("GET", f"{HISTORY_PATH}?{query}", None, History)

    def override(self, model: str, then: Then, *, for_s: float, reason: str) -> OverrideStatus:
        """Decide about a model in the policy's place, for so many seconds.

        Raises:
            EdgedError: What the daemon answered.
        """
        wanted = OverrideRequest(model=model, then=then, for_s=for_s, reason=reason)
        return self._post(OVERRIDE_PATH, wanted, OverrideStatus)

    def clear_overrides(self, model: str | None) -> OverridesDocument:
        """End the override of a model, or all of them.

        Raises:
            EdgedError: What the daemon answered.
        """
        return self._post(CLEAR_PATH, ClearRequest(model=model), OverridesDocument)

    def _post(self, path: str, body: object, type_: type[T]) -> T:
        return self._ask("POST", path, msgspec.json.encode(body), type_)

    def _ask(self, method: str, path: str, body: bytes | None, type_: type[T]) -> T:
        return decode_json(type_, self._client.request(method, path, body=body).body, source=path)


def administrators_socket(path: str) -> str:
    """Return the administrators' socket beside an apps' socket that is called as usual, and any other path as it is."""
    apps, administrators = map(Path, (PathsConfig().app_socket, PathsConfig().admin_socket))
    return str(Path(path).with_name(administrators.name)) if Path(path).name == apps.name else path
