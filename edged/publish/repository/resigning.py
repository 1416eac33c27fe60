"""Keep a repository's signatures from expiring: the operation behind ``edge-publish resign``."""

from datetime import datetime
from pathlib import Path

from edged.publish.keys.signers import Signers
from edged.publish.repository.changing import DEFAULT_EXPIRY, Published, Report, Repository, quiet
from edged.publish.repository.expiring import expiry_dates
from edged.publish.repository.roles import Expiry, sign
from edged.publish.repository.state import State, metadata_path, read_root, read_state
from edged.publish.repository.transaction import Transaction
from edged.publish.repository.tree import Tree


def resign(
    directory: Path,
    keys: Signers,
    *,
    now: datetime,
    expiry: Expiry = DEFAULT_EXPIRY,
    report: Report = quiet,
) -> Published:
    """Sign again what has less than half of its time left, as far as the keys are here, and say what is left over.

    Raises:
        UsageError: No repository, the keys lie in it, the snapshot or timestamp key is missing, or a key cannot be opened.
        NotPermittedError: A key can be read by other users.
        TrustError: The repository was altered, or a key is not the one it trusts.
        UnavailableError: Another publisher holds it and goes on holding it.
    """
    repository = Repository(tree=Tree(directory), keys=keys, now=now, expiry=expiry, report=report)
    repository.prepare(_change_nothing)
    # The root last: a root key that cannot be opened must not keep the timestamp from being signed.
    roles = list(repository.commit(_change_nothing).signed)
    if _renew_root(repository):
        roles.append("root")
    repository.warn()
    return Published(signed=tuple(roles), due=_due(read_state(repository.tree), expiry, now))


def _change_nothing(_transaction: Transaction) -> None:
    """What ``resign`` does to the documents."""


def _due(state: State, expiry: Expiry, now: datetime) -> tuple[tuple[str, datetime], ...]:
    return tuple((r, expires) for r, expires in expiry_dates(state).items() if expiry.is_due(r, expires, now))


def _renew_root(repository: Repository) -> bool:
    """Write the next version of the root if it will expire before long and enough of its keys are here.

    Raises:
        UsageError: A root key cannot be opened; no root was written.
        NotPermittedError: A root key can be read by other users; no root was written.
    """
    tree, keys = repository.tree, repository.keys
    before = read_root(tree)
    if not repository.expiry.is_due("root", before.expires, repository.now):
        return False
    here = [keys.signer(name) for name in keys.names() if name.startswith("root-")]
    with tree.locked():
        root = read_root(tree)
        role = root.roles["root"]
        signers = [signer for signer in here if signer.public_key.keyid in role.keyids]
        if len(signers) < role.threshold or root.version != before.version:
            return False
        repository.report("sign root")
        root.version += 1
        root.expires = repository.expiry.date("root", repository.now)
        tree.add(metadata_path("root", root.version), sign(root, signers))
    return True
