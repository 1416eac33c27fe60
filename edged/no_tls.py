"""Keeps ``ssl`` out of a process that never speaks TLS. Import it before everything else.

asyncio and aiohttp import it if it is there, and aiohttp then has it read all the certification authorities that the device trusts: 3 MB
in the daemon, which has no network, and 2 MB in the gate, which passes on what others encrypted. Both do without it if it is not.
"""

import sys

# None is what the import system takes for a module that is not there.
sys.modules.setdefault("ssl", None)  # type: ignore[arg-type] # typeshed knows only modules
