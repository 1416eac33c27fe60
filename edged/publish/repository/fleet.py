"""Tell a whole fleet something: the operations behind ``rollout``, ``flags``, ``policy`` and ``stop``.

Each is one small signed change. A version is named only when it is published and not below the model's floor, because devices would refuse
it. Stopping a model needs nothing but the stop, snapshot and timestamp keys, and nothing but its own part of the repository to be whole.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from edged.activation.shadow import ShadowRules
from edged.activation.trial import TrialRules
from edged.activation.window import WindowRules
from edged.codec import Document
from edged.errors import ModelUnknownError, UsageError
from edged.ids import ModelName, Version
from edged.ops.flags import Flag, Flags
from edged.ops.policy import Policy
from edged.ops.rollout import Rollout, RolloutEntry
from edged.ops.segments import Issued
from edged.ops.stop import Stops
from edged.policy.document import PolicyFile
from edged.publish.fleet.floor import floor_of, published_versions, raise_floor
from edged.publish.fleet.rollout import versions_of
from edged.publish.repository.changing import Published, Repository
from edged.publish.repository.documents import FLAGS, POLICY, ROLLOUT, STOPS, change_document, document_in
from edged.publish.repository.roles import STOP, model_role
from edged.publish.repository.state import State
from edged.publish.repository.transaction import Transaction

EntryChange = Callable[[RolloutEntry | None, Issued], RolloutEntry]
"""Gets a model's entry as it is, and the time that the new document is issued at."""


RULES_ARE_NEW: Final = (
    "warning: an edged that does not know rules refuses the whole policy document, and keeps the one before; "
    "update edged on all devices first"
)


class PolicyRules(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a publisher writes for the policy document: tables of a device's configuration, as there."""

    window: WindowRules = WindowRules()
    shadow: ShadowRules | None = None
    trial: TrialRules | None = None


def change_rollout(repository: Repository, model: ModelName, change: EntryChange) -> Published:
    """Change the versions of one model.

    Raises:
        ModelUnknownError: There is no such model.
        UsageError: As ``change_entry`` and ``Repository.change``.
        TrustError: As ``Repository.change``.
    """
    return repository.change(lambda transaction: change_entry(transaction, model, change))


def change_entry(transaction: Transaction, model: ModelName, change: EntryChange) -> None:
    """Change the versions of one model as a part of something else.

    Raises:
        ModelUnknownError: There is no such model, or no such version of it.
        UsageError: A version that is new in it is below the model's floor; or as ``change`` says.
    """
    check_versions(transaction.state, model)

    def in_document(rollout: Rollout, issued: Issued) -> Rollout:
        before = rollout.models.get(model)
        after = change(before, issued)
        new = [version for version in versions_of(after) if before is None or version not in versions_of(before)]
        check_versions(transaction.state, model, new, is_to_run=True)
        others: dict[str, RolloutEntry] = {name: entry for name, entry in rollout.models.items() if name != model}
        return replace(rollout, models=others if after == RolloutEntry() else {**others, model: after})

    change_document(transaction, ROLLOUT, in_document)


def set_floor(repository: Repository, model: ModelName, floor: Version) -> Published:
    """Let no version below ``floor`` run on any device, for ever.

    Raises:
        ModelUnknownError: There is no such model.
        UsageError: As ``raise_floor`` and ``Repository.change``.
        TrustError: As ``Repository.change``.
    """

    def in_transaction(transaction: Transaction) -> None:
        check_versions(transaction.state, model)
        apply_floor(transaction, model, floor)

    return repository.change(in_transaction)


def apply_floor(transaction: Transaction, model: ModelName, floor: Version) -> None:
    """Raise the floor of a model as a part of something else, and warn when the rollout names a version below it."""
    role = model_role(model)
    if raise_floor(transaction.state.targets[role], floor):
        transaction.mark_changed(role)
    rollout = document_in(transaction, ROLLOUT)
    entry = rollout.models.get(model) if rollout is not None else None
    for version in versions_of(entry) if entry is not None else []:
        if Version.parse(version) < floor:
            transaction.report(f"warning: the rollout names {model} {version}, which is below the floor {floor}")


def change_flags(repository: Repository, change: Callable[[Mapping[str, Flag]], dict[str, Flag]]) -> Published:
    """Change the feature flags.

    Raises:
        UsageError: As ``Repository.change``; or as ``change`` says.
        TrustError: As ``Repository.change``.
    """

    def in_document(flags: Flags, _issued: Issued) -> Flags:
        return replace(flags, flags=change(flags.flags))

    def in_transaction(transaction: Transaction) -> None:
        change_document(transaction, FLAGS, in_document)

    return repository.change(in_transaction)


def set_policy(
    repository: Repository, care: PolicyRules | None = None, *, rules: PolicyFile | None = None
) -> Published:
    """Say how careful all devices are with new versions, and what decides about requests; None leaves it as it is.

    Args:
        repository: Where.
        care: With new versions; one that asks for nothing takes back what was said.
        rules: That decide, after those of each device's administrator. Their tests pass (``edged.select.check``).

    Raises:
        UsageError: As ``Repository.change``.
        TrustError: As ``Repository.change``.
    """

    def in_document(policy: Policy, _issued: Issued) -> Policy:
        if care is not None:
            policy = replace(policy, window=care.window, shadow=care.shadow, trial=care.trial)
        return policy if rules is None else replace(policy, rules=rules)

    def in_transaction(transaction: Transaction) -> None:
        before = document_in(transaction, POLICY)
        if rules is not None and (before is None or before.rules is None):
            transaction.report(RULES_ARE_NEW)
        change_document(transaction, POLICY, in_document)

    return repository.change(in_transaction)


def clear_policy(repository: Repository, *, only_rules: bool = False) -> Published:
    """Take back what was said about policy, or only the rules that decide about requests.

    Raises:
        UsageError: As ``Repository.change``.
        TrustError: As ``Repository.change``.
    """

    def in_document(policy: Policy, _issued: Issued) -> Policy:
        kept = replace(policy, rules=None)
        return kept if only_rules else replace(kept, window=WindowRules(), shadow=None, trial=None)

    def in_transaction(transaction: Transaction) -> None:
        change_document(transaction, POLICY, in_document)

    return repository.change(in_transaction)


def change_stops(
    repository: Repository,
    model: ModelName,
    change: Callable[[Stops, Issued], Stops],
    *,
    versions: Sequence[str] = (),
    reason: str = "",
) -> Published:
    """Change which models are stopped, with the stop, snapshot and timestamp keys alone.

    Args:
        repository: Where.
        model: Which model it is about.
        change: Gets the document and the time that the new one is issued at.
        versions: That have to be published.
        reason: Why, where the document has no place for it.

    Raises:
        ModelUnknownError: There is no such model, or no such version of it.
        UsageError: As ``Repository.change``; or as ``change`` says.
        TrustError: The repository was altered where this looks, or a key is not the one it trusts.
        UnavailableError: Another publisher goes on holding what is signed.
    """

    def in_transaction(transaction: Transaction) -> None:
        check_versions(transaction.state, model, versions)
        change_document(transaction, STOPS, change, reason=reason)

    roles = {STOP, model_role(model)} if versions else {STOP}
    return repository.change(in_transaction, renews=False, roles=roles)


def check_versions(state: State, model: ModelName, versions: Sequence[str] = (), *, is_to_run: bool = False) -> None:
    """Make sure that a model and versions of it are published, and not below its floor when devices are to run them.

    Raises:
        ModelUnknownError: One is not.
        UsageError: One is below the floor.
    """
    role = model_role(model)
    if role not in state.delegated:
        known = ", ".join(name.removeprefix("m-") for name in state.delegated if name.startswith("m-"))
        raise ModelUnknownError(f"there is no model {model!r} here", hint=f"Published are: {known or 'none'}.")
    if not versions:
        return
    published = published_versions(state.targets[role])
    floor = floor_of(state.targets[role])
    for version in versions:
        if version not in {str(known) for known in published}:
            listed = ", ".join(str(known) for known in published)
            raise ModelUnknownError(f"{model} {version} is not published", hint=f"Published are: {listed or 'none'}.")
        if is_to_run and floor is not None and Version.parse(version) < floor:
            raise UsageError(
                f"{model} {version} is below the floor {floor}, and devices would refuse it",
                hint="Publish what it has under a higher version.",
            )
