"""The daemon of a developer who has models of their own: ``edged run``, which beside the fleet's orders has those of a document.

A root of its own, so that no setting of a device can bring it there.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from edged.daemon.__main__ import serve
from edged.daemon.fleet.fleet import Fleet
from edged.dev.local.orders import LocalOrders
from edged.event_loop import on_loop
from edged.process import run_service


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon; the first argument is the document, the others are those of ``edged run``."""
    document, *others = sys.argv[1:] if argv is None else argv

    def with_own(fleet: Fleet) -> LocalOrders:
        return LocalOrders(fleet, Path(document))

    return run_service(
        others,
        verb="run",
        identifier="edged",
        description="Decide, activate and serve models.",
        serve=on_loop(partial(serve, orders_from=with_own)),
    )


if __name__ == "__main__":
    sys.exit(main())
