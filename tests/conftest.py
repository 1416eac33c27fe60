"""How every test runs: hypothesis with the same examples each time, onnxruntime without its reports to its maker, no loop left open."""

import asyncio
import os
import warnings

import pytest
import pytest_asyncio
from hypothesis import settings

# Noisy machines have no deadlines, and a source tree may be read-only. What passed for one commit passes again for it: new examples
# are looked for where somebody reads what was found, by "make explore".
settings.register_profile("edged", database=None, deadline=None, derandomize=True)
settings.register_profile("explore", database=None, deadline=None, derandomize=False, max_examples=500)
settings.load_profile("edged")

# For what imports onnxruntime by itself, as the magika package does; edged's own loader sets it, too.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if pytest_asyncio.__version__.startswith("0."):

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(item):
        """Close the loop that pytest-asyncio before 1.0 makes after each asynchronous test, for nobody.

        A test that calls ``asyncio.run`` would drop it unclosed, and whichever test ran when it is collected would fail.
        """
        result = yield
        policy = asyncio.get_event_loop_policy()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                policy.get_event_loop().close()
            except RuntimeError:  # there is none
                return result
        policy.set_event_loop(None)
        return result
