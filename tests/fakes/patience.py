"""How long tests wait for what they have to wait for: other processes and threads, which no clock of a test can hurry."""

from typing import Final

PATIENCE_S: Final = 180.0
"""Nothing that passes comes near it. Machines on which tests run are virtual, and now and then one is paused for a minute while its clocks
go on; and it is longer than anything that the daemon waits for by itself, so that its log tells what that was."""
