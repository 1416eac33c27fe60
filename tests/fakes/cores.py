"""Runs that execute wherever the system has them."""

from typing import Final

from edged.worker.cores import Cores

ANY_CORES: Final = Cores(1, {0})
"""One lane has no other to keep off."""
