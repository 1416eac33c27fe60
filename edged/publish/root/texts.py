"""What a ceremony says. Kept apart from what it does, so that each can be read in one go."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edged.publish.keys.directory import Keyring
from edged.publish.root.founding import Signing
from edged.publish.root.plan import Plan

WELCOME: Final = """
This makes the repository {directory} and all of its keys, step by step. It may be interrupted at any time (Ctrl-C): the same command \
goes on where it stopped. What was settled is kept in {kept} until the repository is there.

Root keys stand above all others. They say which keys sign everything else, and a device believes whatever enough of them have signed. \
So let each be held by another person, on a stick of its own, under a passphrase that only this person knows, and do this on a machine \
without a network.
"""

GOING_ON: Final = "\nThis ceremony was begun before: {done} of {count} root keys are settled."

NUMBERS: Final = """
STEP 1 of 4: numbers
With 5 root keys of which 3 must sign, two may be lost, and two may fall into wrong hands, without harm.
"""

HOLDERS: Final = """
STEP 2 of 4: the holders of the root keys
A holder who is here makes the key now. A holder who is elsewhere makes it there and sends only its public part.
"""

KEY_HEADING: Final = "\nRoot key {number} of {count}"

KEY_THERE: Final = "{path} is there already; its holder opens it to show that it is the right one."

KEY_DONE: Final = """\
{person}'s key has the ID
  {keyid}
Write it down, on paper.
"""

ELSEWHERE: Final = """\
{person} runs these two commands, sends the .pub file, and reads its key ID to you over the telephone:
  edge-publish keys create root-NAME --keys /media/STICK
  edge-publish keys export-public root-NAME --keys /media/STICK
"""

DAILY_KEYS: Final = """
STEP 3 of 4: the keys that sign day by day
They are made in {keys}: targets (lets a new model sign, and belongs offline like the root keys), snapshot, timestamp, ops \
(which version devices run) and stop (switches models off). A machine that signs by itself, from a timer, needs them without a passphrase, \
or the passphrase in EDGE_PUBLISH_PASSPHRASE.
"""

COMPARE: Final = """
STEP 4 of 4: comparing and signing
Each holder reads the key ID from paper, aloud; somebody else compares all of it with these:
"""

SIGNING: Final = """
Now the holders sign the root that names these keys. {threshold} of {count} signatures make it valid; let everybody who is here sign, as \
this shows that each passphrase still opens its key.
"""

SIGN: Final = "\n{person} signs with {path}"

_WAITING: Final = """\
The root is not valid yet: {missing} more of its keys must sign. Take
  {path}
to each holder whose signature is missing, who compares the key IDs and signs a copy of it:
  edge-publish root show {name}
  edge-publish root sign {name} --key /media/STICK/KEY.pem
Put the .sig file that this makes into
  {directory}
and run this command again. Still to sign:"""

_READY: Final = """\
The repository {repository} is ready.

Give this file to each device, by a way you trust, as /etc/edged/root.json:
  {root}
  SHA-256 {digest}

Keep offline, each in its holder's hands, with a second copy in another place:"""

_KEEP: Final = """\
Keep offline, too; only the first version of a new model needs it:
  targets  {targets}
Keep where you publish, with the keys of models, which publish makes:
  snapshot, timestamp, ops  in {keys}
Keep with whoever is to switch models off in an emergency:
  stop     {stop}

The root holds until {expires:%Y-%m-%d}. Before that day, {threshold} holders sign the next one: edge-publish root rotate.
When root keys are lost or in wrong hands and {threshold} good ones are left, these replace them in the same way.
With fewer, nobody can tell devices about new keys any more, and each of them needs a new root.json by hand.
The other keys are replaced by edge-publish keys replace. Keep a second copy of each offline."""

_REPLACED: Final = """\
Devices trust the new keys, and the old ones no more, from their next poll on; {signed}.

New keys. Bring them to every machine that signs, and keep a second copy offline:
{new}

Old keys. Nothing needs them any more: destroy them, and every copy.
{old}"""


def spoken(keyid: str) -> str:
    """Return a key ID in groups that can be read aloud."""
    return " ".join(keyid[i : i + 8] for i in range(0, len(keyid), 8))


def waiting(signing: Signing, plan: Plan | None = None) -> Sequence[str]:
    """Say what to do while signatures are missing."""
    path = signing.path
    if path is None:
        raise AssertionError("a root that waits lies somewhere")
    people = {holder.keyid: f"  {holder.person}" for holder in plan.holders} if plan else {}
    text = _WAITING.format(missing=signing.missing, path=path, name=path.name, directory=path.parent)
    unsigned = [keyid for keyid in signing.root.roles["root"].keyids if keyid not in signing.signed]
    return [*text.splitlines(), *(f"  {spoken(keyid)}{people.get(keyid, '')}" for keyid in unsigned)]


def ready(repository: Path, root: Path, digest: str, plan: Plan, keys: Keyring, signing: Signing) -> Sequence[str]:
    """Say what to keep where, now that the repository is there."""
    width = max(len(holder.person) for holder in plan.holders)
    holders = [
        f"  {holder.key:<7}  {holder.person:<{width}}  {Path(holder.directory) / f'{holder.key}.pem' if holder.directory else 'elsewhere'}"
        for holder in plan.holders
    ]
    keep = _KEEP.format(
        targets=keys.path("targets").absolute(),
        keys=keys.directory.absolute(),
        stop=keys.path("stop").absolute(),
        threshold=plan.threshold,
        expires=signing.root.expires,
    )
    return [
        *_READY.format(repository=repository, root=root, digest=digest).splitlines(),
        *holders,
        *keep.splitlines(),
    ]


def replaced(keys: Keyring, names: Sequence[str], signed: Sequence[str], old: Sequence[Path]) -> Sequence[str]:
    """Say what was done, and what to do with old and new keys, now that the new ones are trusted."""
    new = [f"  {keys.path(name).absolute()}\n    {spoken(keys.public(name).keyid)}" for name in names]
    text = _REPLACED.format(
        signed=f"signed: {', '.join(signed)}" if signed else "all was signed by a run before this one",
        new="\n".join(new),
        old="\n".join(f"  {path.absolute()}" for path in old) or "  (none is here)",
    )
    return text.splitlines()
