"""How every test runs: the same examples each time, onnxruntime without its reports, signals as usual, no loop left open."""

import asyncio
import os
import signal
import warnings

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

# Noisy machines have no deadlines and may be slow, and a source tree may be read-only. What passed for one commit passes again for it:
# new examples are looked for where somebody reads what was found, by "make explore".
TIMELESS = {"database": None, "deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("edged", **TIMELESS, derandomize=True)
settings.register_profile("explore", **TIMELESS, derandomize=False, max_examples=500)
settings.load_profile("edged")

# For what imports onnxruntime by itself, as the magika package does; edged's own loader sets it, too.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# In the background of a shell, or under nohup, these are ignored here and in all that tests start and interrupt, or take the terminal from.
for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

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
