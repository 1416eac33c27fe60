"""The person at the terminal: questions and passphrases. Everything goes to standard error, so that results can be redirected."""

import getpass
import sys
import textwrap
from typing import Final

from edged.errors import UsageError
from edged.publish.keys.directory import PASSPHRASE_VARIABLE
from edged.publish.keys.files import check_passphrase

WIDTH: Final = 100


class Terminal:
    """Asks whoever sits there."""

    def known(self, key: str) -> bytes:
        """Ask for the passphrase that opens a key.

        Raises:
            UsageError: Nothing was typed.
        """
        return _hidden(f"Passphrase of {key}: ")

    def new(self, key: str) -> bytes:
        """Ask twice for a new passphrase.

        Raises:
            UsageError: Nothing was typed, the two differ, or it cannot be used.
        """
        passphrase = _hidden(f"New passphrase of {key}: ")
        check_passphrase(passphrase)
        if _hidden("Once more: ") != passphrase:
            raise UsageError("the two passphrases differ", hint="Try again.")
        return passphrase

    def say(self, text: str = "") -> None:
        """Show some lines; those longer than the terminal should be are wrapped, keeping their indentation."""
        for line in text.splitlines() or [""]:
            indent = " " * (len(line) - len(line.lstrip()))
            wrapped = textwrap.wrap(line, WIDTH, subsequent_indent=indent, break_long_words=False)
            sys.stderr.write("\n".join(wrapped or [""]) + "\n")
        sys.stderr.flush()

    def ask(self, question: str, default: str = "") -> str:
        """Ask for one line; Enter alone is the default.

        Raises:
            UsageError: The terminal was closed.
        """
        sys.stderr.write(f"{question} [{default}]: " if default else f"{question}: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise UsageError("no answer was given", hint="Run the command again to go on.")
        return line.strip() or default


def _hidden(prompt: str) -> bytes:
    try:
        # What a terminal sends need not be UTF-8; a passphrase is whatever bytes it sends.
        return getpass.getpass(prompt).encode(errors="surrogateescape")
    except EOFError as exc:
        raise UsageError("no passphrase was given", hint=f"Type it, or set {PASSPHRASE_VARIABLE}.") from exc
