"""Tell what an update has brought."""

from edged.cli.exits import Exit
from edged.cli.table import printable
from edged.cli.updater import Ending


def finish(ending: Ending) -> Exit:
    """Print what is new in the store.

    Raises:
        EdgedError: Why something else did not come, after what came was told.
    """
    for name in ending.staged:
        print(f"{printable(name)} is in the store")
    if ending.error is not None:
        raise ending.error
    if ending.deferred is not None:
        print(f"The rest is put off: {printable(ending.deferred.message)} [{ending.deferred.cause}]")
        return Exit.BUSY
    if not ending.staged:
        print("Nothing is new.")
        return Exit.NOTHING_TO_DO
    return Exit.OK
