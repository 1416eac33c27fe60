"""What an update has brought, and how that ends."""

import pytest

from edged.cli.exits import Exit
from edged.cli.staged import finish
from edged.cli.updater import Ending
from edged.errors import DigestMismatchError
from edged.update.protocol.phases import Deferred


def test_what_is_new_is_told(capsys):
    assert finish(Ending(staged=("gauge 1.1.0", "magika 2.0.0"), error=None, deferred=None)) is Exit.OK
    assert capsys.readouterr().out == "gauge 1.1.0 is in the store\nmagika 2.0.0 is in the store\n"


def test_nothing_new_has_a_code_of_its_own(capsys):
    assert finish(Ending(staged=(), error=None, deferred=None)) is Exit.NOTHING_TO_DO
    assert capsys.readouterr().out == "Nothing is new.\n"


def test_what_failed_is_told_after_what_came(capsys):
    error = DigestMismatchError("gauge 1.2.0 is not what was signed.")
    with pytest.raises(DigestMismatchError):
        finish(Ending(staged=("gauge 1.1.0",), error=error, deferred=None))
    assert capsys.readouterr().out == "gauge 1.1.0 is in the store\n"


def test_what_is_put_off_is_no_end_of_it(capsys):
    deferred = Deferred(cause="metered", message="The link is metered.")

    assert finish(Ending(staged=("gauge 1.1.0",), error=None, deferred=deferred)) is Exit.BUSY
    assert capsys.readouterr().out.endswith("The rest is put off: The link is metered. [metered]\n")
