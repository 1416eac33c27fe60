"""Reads policies from files, each with its own tests run: what is returned does what it says.

(1) local      the administrator's file. The default place may be empty; a place that the settings name must not be
(2) packaged   a policy that comes with edged, by its name. Where no packaged policies are installed at all, as in a checkout, there is none
(3) kept       a copy of the last good local policy in the state directory, for a start at which the file has a mistake: a device that
               was rebooted meanwhile does not behave otherwise than before
"""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

from edged.config.schema import DEFAULT_POLICY_FILE, PolicyConfig
from edged.errors import PolicyError, Problem, StoreError
from edged.files import is_named, read_limited, replace_durably
from edged.policy.document import PolicyFile
from edged.policy.parse import MAX_POLICY_FILE_BYTES
from edged.select.check import read_policy

LOG = logging.getLogger(__name__)

KEPT_NAME: Final = "policy.toml"


def read_policy_file(path: Path) -> PolicyFile:
    """Read a policy, and run its tests.

    Raises:
        PolicyError: It cannot be read, is none, or a test of its own fails.
    """
    return read_policy(_bytes_of(path), source=str(path))


def read_local(config: PolicyConfig, *, kept: Path) -> PolicyFile | None:
    """Read the administrator's policy (1), and keep a copy of it (3); None when there is none.

    Args:
        config: Where it is.
        kept: The state directory.

    Raises:
        PolicyError: As ``read_policy_file``; the copy is left as it is.
    """
    path = Path(config.file)
    if not config.file or (config.file == DEFAULT_POLICY_FILE and not is_named(path)):
        with suppress(OSError):
            (kept / KEPT_NAME).unlink(missing_ok=True)
        return None
    data = _bytes_of(path)
    policy = read_policy(data, source=str(path))
    _keep(kept / KEPT_NAME, data)
    return policy


def read_kept(kept: Path) -> PolicyFile | None:
    """Read the last good local policy (3); None when there is none."""
    try:
        return read_policy_file(kept / KEPT_NAME)
    except PolicyError:
        return None


def read_packaged(config: PolicyConfig) -> PolicyFile | None:
    """Read the policy that comes with edged (2); None when the settings name none, or none are installed.

    Raises:
        PolicyError: As ``read_policy_file``; or there is none of this name.
    """
    directory = Path(config.directory)
    if not config.name or not directory.is_dir():
        return None
    names = sorted(path.stem for path in directory.glob("*.toml"))
    if config.name not in names:
        problem = Problem(pointer="policy.name", expected=f"expected one of {', '.join(names)}", found=config.name)
        raise PolicyError("configuration", [problem])
    return read_policy_file(directory / f"{config.name}.toml")


def _bytes_of(path: Path) -> bytes:
    try:
        return read_limited(path, max_bytes=MAX_POLICY_FILE_BYTES)
    except (OSError, StoreError) as exc:
        found = exc.message if isinstance(exc, StoreError) else str(exc.strerror)
        problem = Problem(pointer="file", expected="expected a readable file", found=found)
        raise PolicyError(str(path), [problem]) from exc


def _keep(path: Path, data: bytes) -> None:
    """Keep a copy; one that is there already is not written again."""
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    try:
        replace_durably(path, data, mode=0o600)
    except OSError as exc:
        LOG.warning("No copy of the policy is kept: %s", exc)
