"""The guided ceremony in which several people make a repository: each step explained, each answer checked, each step done once.

Steps, in order:
1. How many root keys there are, and how many must sign.
2. For each root key: who holds it. A holder who is here makes the key on a stick of their own, with their own passphrase; one who is
   not has sent the public part.
3. The keys that sign day by day.
4. The key IDs are read aloud and compared, the root names them, and the holders sign it. Whoever is elsewhere signs a copy.

What was answered is kept in the directory of the pending root, so that a ceremony that was interrupted goes on where it stopped. Nothing
is in the repository before enough holders have signed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol, TypeVar

import msgspec

from edged.errors import EdgedError, UsageError
from edged.publish.keys.directory import Asker, Keyring
from edged.publish.keys.files import parse_public, read_public
from edged.publish.repository.changing import Report, check_place
from edged.publish.repository.roles import OPS, STOP, TOP_ROLES, Expiry
from edged.publish.repository.state import is_repository
from edged.publish.repository.tree import Tree
from edged.publish.root import texts
from edged.publish.root.founding import Signing, begin_founding, finish_founding
from edged.publish.root.pending import PendingRoot
from edged.publish.root.plan import Holder, Plan, read_plan, write_plan

T = TypeVar("T")
ATTEMPTS: Final = 10
"""How often a step may fail before the ceremony stops: a terminal that went away fails for ever."""

MOST_KEYS: Final = 99


class Console(Asker, Protocol):
    """The people at the terminal."""

    def say(self, text: str = "") -> None:
        """Show some lines."""

    def ask(self, question: str, default: str = "") -> str:
        """Ask for one line; Enter alone is the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """One ceremony, as far as it goes this time.

    Args:
        directory: The repository to be.
        keys: For the keys that sign day by day.
        console: Where the people are.
        count: Number of root keys that is proposed.
        threshold: How many of them must sign, as proposed.
        now: UTC.
        expiry: How long the signatures hold.
        report: Told one line for each step on disk.
    """

    directory: Path
    keys: Keyring
    console: Console
    count: int
    threshold: int
    now: datetime
    expiry: Expiry
    report: Report

    def hold(self) -> tuple[Plan, Signing]:
        """Go through all steps, and return what was settled and how far the signing of the root is.

        Raises:
            UsageError: The repository exists, or the key IDs were not confirmed.
            EdgedError: A step failed too often.
        """
        tree = Tree(self.directory)
        check_place(tree, self.keys)
        pending = PendingRoot.beside(self.directory)
        plan = read_plan(pending)
        # With a plan, it was this ceremony that made it, and was interrupted before it could say so.
        if plan is None and is_repository(tree):
            raise UsageError(f"{self.directory} is a repository already", hint="Name a directory that is not there.")
        self.console.say(texts.WELCOME.format(directory=self.directory, kept=pending.directory))
        if plan is None:
            self.console.say(texts.NUMBERS)
            plan = self._until_done(self._ask_numbers)
            pending.make_directory()
            write_plan(pending, plan)
        else:
            self.console.say(texts.GOING_ON.format(done=len(plan.holders), count=plan.count))
        plan = self._ask_holders(pending, plan)
        self._make_daily_keys()
        return plan, self._sign_root(pending, plan)

    def _ask_numbers(self) -> Plan:
        count = self._ask_number("Number of root keys", self.count, most=MOST_KEYS)
        threshold = self._ask_number("How many of them must sign", min(self.threshold, count), most=count)
        return Plan(schema=1, count=count, threshold=threshold)

    def _ask_holders(self, pending: PendingRoot, plan: Plan) -> Plan:
        if len(plan.holders) < plan.count:
            self.console.say(texts.HOLDERS)
        while (number := len(plan.holders) + 1) <= plan.count:
            self.console.say(texts.KEY_HEADING.format(number=number, count=plan.count))
            holder = self._settle_holder(plan, number)
            plan = msgspec.structs.replace(plan, holders=(*plan.holders, holder))
            write_plan(pending, plan)
            self.console.say(texts.KEY_DONE.format(person=holder.person, keyid=texts.spoken(holder.keyid)))
        return plan

    def _settle_holder(self, plan: Plan, number: int) -> Holder:
        key = f"root-{number}"
        person = self._until_done(lambda: self._ask_person(number))
        is_here = self._until_done(lambda: self._ask_yes(f"Is {person} here, to make the key now?", default="yes"))
        settle = self._make_key if is_here else self._take_key
        return self._until_done(lambda: _new_to(plan, settle(key, person)))

    def _make_key(self, key: str, person: str) -> Holder:
        answer = self.console.ask(f"Directory for {person}'s key, best on a stick of its own", str(self.keys.directory))
        ring = Keyring(directory=Path(answer).expanduser().absolute(), asker=self.console)
        check_place(Tree(self.directory), ring)
        if ring.has(key):
            # Made by this ceremony, which was killed before it noted it down, or by its holder beforehand.
            self.console.say(texts.KEY_THERE.format(path=ring.path(key)))
            public = ring.export_public(key, ring.public_path(key))
        else:
            public = ring.add(key, self.console.new(key))
        pem = ring.public_path(key).read_text()
        return Holder(key=key, person=person, keyid=public.keyid, public=pem, directory=str(ring.directory))

    def _take_key(self, key: str, person: str) -> Holder:
        self.console.say(texts.ELSEWHERE.format(person=person))
        path = Path(self.console.ask(f"File with the public part of {person}'s key")).expanduser()
        public = read_public(path)
        return Holder(key=key, person=person, keyid=public.keyid, public=path.read_text())

    def _make_daily_keys(self) -> None:
        missing = [name for name in (*TOP_ROLES, OPS, STOP) if not self.keys.has(name)]
        if not missing:
            return
        self.console.say(texts.DAILY_KEYS.format(keys=self.keys.directory.absolute()))
        passphrase = self.keys.passphrase
        if passphrase is None and self._until_done(
            lambda: self._ask_yes("Shall they have a passphrase?", default="yes")
        ):
            passphrase = self._until_done(lambda: self.console.new("these keys"))
        for name in missing:
            self.keys.add(name, passphrase)

    def _sign_root(self, pending: PendingRoot, plan: Plan) -> Signing:
        public = [parse_public(holder.public.encode(), holder.key) for holder in plan.holders]
        signed = begin_founding(
            self.directory, self.keys, public, threshold=plan.threshold, now=self.now, expiry=self.expiry
        )
        to_sign = [holder for holder in plan.holders if holder.directory and holder.keyid not in signed]
        if pending.path() is not None and to_sign:
            self._compare(pending, plan)
            self.console.say(texts.SIGNING.format(threshold=plan.threshold, count=plan.count))
            for holder in to_sign:
                self._sign(pending, holder)
        return finish_founding(
            self.directory,
            self.keys,
            public,
            threshold=plan.threshold,
            now=self.now,
            expiry=self.expiry,
            report=self.report,
        )

    def _compare(self, pending: PendingRoot, plan: Plan) -> None:
        self.console.say(texts.COMPARE)
        for holder in plan.holders:
            self.console.say(f"  {holder.key}  {holder.person}\n    {texts.spoken(holder.keyid)}")
        if not self._until_done(lambda: self._ask_yes("Has every holder found their own key ID here?", default="no")):
            hint = f"Run the command again to compare once more, or remove {pending.directory} to begin anew."
            raise UsageError("the key IDs were not confirmed", hint=hint)

    def _sign(self, pending: PendingRoot, holder: Holder) -> None:
        ring = Keyring(directory=Path(holder.directory), asker=self.console)
        self.console.say(texts.SIGN.format(person=holder.person, path=ring.path(holder.key)))

        def sign_or_leave() -> None:
            while not ring.has(holder.key):
                if self.console.ask("The key is not there. Bring it and press Enter, or say later", "now") == "later":
                    return
            pending.sign(ring.signer(holder.key))

        self._until_done(sign_or_leave)

    def _ask_number(self, question: str, default: int, *, most: int) -> int:
        answer = self.console.ask(question, str(default))
        if not (answer.isascii() and answer.isdigit() and 1 <= int(answer) <= most):
            raise UsageError(f"{answer!r} is not a number from 1 to {most}")
        return int(answer)

    def _ask_person(self, number: int) -> str:
        person = self.console.ask(f"Who holds root key {number}?")
        if not person or not person.isprintable():
            raise UsageError("a root key needs a holder with a name")
        return person

    def _ask_yes(self, question: str, *, default: str) -> bool:
        answer = self.console.ask(f"{question} yes or no", default).lower()
        if answer not in {"y", "yes", "n", "no"}:
            raise UsageError(f"{answer!r} is neither yes nor no")
        return answer.startswith("y")

    def _until_done(self, step: Callable[[], T]) -> T:
        """Do a step again until it succeeds; whoever mistypes loses nothing."""
        for _ in range(ATTEMPTS - 1):
            try:
                return step()
            except (EdgedError, OSError) as exc:
                hint = f" {exc.hint}" if isinstance(exc, EdgedError) else ""
                self.console.say(f"That did not work: {exc}.{hint}")
        return step()


def _new_to(plan: Plan, holder: Holder) -> Holder:
    if other := next((h for h in plan.holders if h.keyid == holder.keyid), None):
        raise UsageError(f"this is {other.person}'s key", hint="Every holder has a key of their own.")
    return holder
