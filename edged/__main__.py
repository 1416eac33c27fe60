"""The ``edged`` command: start one of edged's processes, or all of them for development.

Each verb is a composition root of its own and is imported only when asked for, so that the gate never loads the daemon's code.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Final

from edged import __version__

ROOTS: Final = {
    "run": ("edged.daemon.__main__", "decide, activate and serve models (edged.service)"),
    "update": ("edged.update.__main__", "fetch, verify and stage bundles (edged-update.service)"),
    "egress": ("edged.egress.__main__", "let allowed connections out of the device (edged-egress.service)"),
    "offload": ("edged.offload.__main__", "ask endpoints outside of the device (edged-offload.service)"),
    "presence": ("edged.presence.__main__", "say whether somebody uses the device (edged-presence.service)"),
    "dev": (
        "edged.dev.__main__",
        "run, update, egress and, where there are endpoints, offload, unprivileged, in a directory of your own",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Start the process that the first argument names; the rest is for it.

    Returns:
        The exit code of the process; 2 when there is no such verb.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    match arguments:
        case [verb, *rest] if verb in ROOTS:
            return int(importlib.import_module(ROOTS[verb][0]).main(rest))
        case ["--version"]:
            sys.stdout.write(f"edged {__version__}\n")
            return 0
        case ["--help" | "-h" | "help"]:
            sys.stdout.write(_usage())
            return 0
        case _:
            sys.stderr.write(_usage())
            return 2


def _usage() -> str:
    verbs = "".join(f"  {verb:<10}{what}\n" for verb, (_, what) in ROOTS.items())
    return (
        f"usage: edged VERB [OPTION ...]\n\n{verbs}\n"
        "`edged VERB --help` tells a verb's options. Use edgectl to talk to a running edged.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
