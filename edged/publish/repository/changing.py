"""Change what a repository says, in two passes, so that nobody who waits for something holds others up.

(1) prepare  holding nothing: read what is published, make the change in memory, and open every key that will sign. Whatever speaks
             against the change comes up here, and passphrases are typed here.
(2) commit   holding what is signed: read it again, make the change again, write and sign. Some small writes and fsyncs.

What takes long, copying a bundle's files, is done between the two, under a lock of its own (``Tree.working``).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from edged.errors import UsageError
from edged.publish.keys.signers import Signers
from edged.publish.repository.expiring import find_expiring
from edged.publish.repository.roles import Expiry
from edged.publish.repository.state import State, metadata_path, read_state
from edged.publish.repository.transaction import Transaction
from edged.publish.repository.tree import Tree

Report = Callable[[str], None]
Change = Callable[[Transaction], None]
"""Made twice, so it must depend on nothing but the transaction."""
DEFAULT_EXPIRY: Final = Expiry()


def quiet(_line: str) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What an operation did: the roles it signed, in order; none when everything was there already."""

    signed: tuple[str, ...]
    due: tuple[tuple[str, datetime], ...] = ()
    """After a ``resign``: roles that should be signed again but whose keys are not here, with the time each expires."""

    @property
    def is_changed(self) -> bool:
        """Tell whether devices will see anything new."""
        return bool(self.signed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository that somebody is about to change.

    Args:
        tree: Where it is.
        keys: Where the signing keys are.
        now: UTC.
        expiry: How long new signatures hold.
        report: Told one line for each step, and a warning for each signature that expires before long.
    """

    tree: Tree
    keys: Signers
    now: datetime
    expiry: Expiry = DEFAULT_EXPIRY
    report: Report = quiet

    def change(self, change: Change, *, renews: bool = True, roles: Collection[str] | None = None) -> Published:
        """Prepare and commit a change, and warn of what expires before long.

        Args:
            change: What to do.
            renews: Also sign again what will expire before long, as far as its key is here.
            roles: The delegated roles that the change looks at, so that damage to others is not in its way; None for all.

        Raises:
            UsageError: No repository, the keys lie in it, or a key is missing or cannot be opened.
            NotPermittedError: A key can be read by other users.
            TrustError: The repository was altered, or a key is not the one it trusts.
            UnavailableError: Another publisher holds it and goes on holding it.
        """
        self.prepare(change, renews=renews, roles=roles)
        published = self.commit(change, renews=renews, roles=roles)
        self.warn(roles=roles)
        return published

    def prepare(self, change: Change, *, renews: bool = True, roles: Collection[str] | None = None) -> None:
        """Find out whether a change can be made, and write nothing; arguments and errors are those of ``change``."""
        check_repository(self.tree)
        check_place(self.tree, self.keys)
        transaction = self._begin(renews=renews, roles=roles, report=quiet)
        change(transaction)
        transaction.check_keys()

    def commit(self, change: Change, *, renews: bool = True, roles: Collection[str] | None = None) -> Published:
        """Make a change that was prepared; arguments and errors are those of ``change``."""
        with self.tree.locked():
            transaction = self._begin(renews=renews, roles=roles, report=self.report)
            change(transaction)
            return Published(signed=tuple(transaction.commit()))

    def warn(self, *, roles: Collection[str] | None = None) -> None:
        """Report what expires before long.

        Raises:
            TrustError: The repository was altered.
        """
        warn_of_expiry(self.tree, self.expiry, now=self.now, report=self.report, roles=roles)

    def _begin(self, *, renews: bool, roles: Collection[str] | None, report: Report) -> Transaction:
        state: State = read_state(self.tree, roles=roles)
        transaction = Transaction(
            tree=self.tree, state=state, keys=self.keys, expiry=self.expiry, now=self.now, report=report
        )
        if renews:
            transaction.renew()
        return transaction


def warn_of_expiry(
    tree: Tree, expiry: Expiry, *, now: datetime, report: Report, roles: Collection[str] | None = None
) -> None:
    """Report what expires before long, with who has to sign it.

    Args:
        tree: A complete repository.
        expiry: How long signatures hold when they are made.
        now: UTC.
        report: Told one line for each role.
        roles: The delegated roles to look at; None for all.

    Raises:
        UsageError: It is not complete.
        TrustError: It was altered.
    """
    for expiring in find_expiring(read_state(tree, roles=roles), expiry, now):
        report(expiring.sentence())


def check_repository(tree: Tree) -> None:
    """Make sure that a directory is a repository, before anything is made or cleared away in it.

    Raises:
        UsageError: It is not.
    """
    if not tree.has(metadata_path("root", 1)):
        raise UsageError(f"{tree.root} is not a repository", hint="Make one: edge-publish init DIR --keys KEYS.")


def check_place(tree: Tree, keys: Signers) -> None:
    """Make sure that private keys do not lie where anyone may read them.

    Raises:
        UsageError: They do.
    """
    if keys.lie_in(tree.root):
        raise UsageError(
            "the keys lie in the repository, which anyone may read", hint="Name another directory with --keys."
        )
