"""Credentials of endpoints for a developer's processes: what systemd does with ``/etc/edged/offload`` on a device.

The process that asks endpoints finds them in a directory under the names that systemd gives them (``edged.offload.credentials``). They are
copies that its user alone can read; they are made at the start and are gone at the end.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edged.config.schema import EndpointConfig
from edged.dev.privileges import Privileges, give
from edged.errors import UsageError
from edged.offload.credentials import PREFIX, parse_credential

_OWNER_ONLY: Final = 0o700


@contextmanager
def handed_over(
    endpoints: Mapping[str, EndpointConfig], *, source: Path | None, place: Path, privileges: Privileges
) -> Iterator[Path]:
    """Have the credentials that endpoints name in a directory while the context is open.

    Args:
        endpoints: By model.
        source: Where the developer keeps them, each in a file of its name; None has none.
        place: The directory; what is left of an earlier run is removed.
        privileges: Of the process that reads them.

    Yields:
        ``place``.

    Raises:
        UsageError: An endpoint names one, and there is no ``source``.
        ConfigError: A credential cannot be read, or is none.
        OSError: The directory cannot be made.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=_OWNER_ONLY)
    try:
        for model, endpoint in endpoints.items():
            if endpoint.credential:
                copy = place / f"{PREFIX}{endpoint.credential}"
                shutil.copyfile(_checked(model, endpoint.credential, source), copy)
                give(copy, privileges)
        give(place, privileges)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _checked(model: str, name: str, source: Path | None) -> Path:
    if source is None:
        raise UsageError(
            f"the endpoint of model {model} wants credential {name}, and there is no --credentials",
            hint=f"Put lines NAME: VALUE into a file {name}, and name its directory with --credentials.",
        )
    path = source / name
    # Here its place is known; the process that asks endpoints would name that of a device.
    parse_credential(path, source=str(path))
    return path
