"""The demonstration behind ``make demo``: a real model, from a signed static repository to an answer on the socket."""

import os

# The magika package imports onnxruntime, whose wheels report usage to their maker unless this is set before.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
