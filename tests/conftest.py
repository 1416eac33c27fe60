"""How every test runs: hypothesis without deadlines and files, onnxruntime without its reports to its maker."""

import os

from hypothesis import settings

# Noisy machines have no deadlines; a source tree may be read-only.
settings.register_profile("edged", database=None, deadline=None)
settings.load_profile("edged")

# For what imports onnxruntime by itself, as the magika package does; edged's own loader sets it, too.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
