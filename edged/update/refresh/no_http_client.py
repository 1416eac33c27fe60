"""Keeps out of a refresh the HTTP clients that python-tuf brings along. Import it before python-tuf.

python-tuf imports urllib3 (7.x) or requests (5.1) for a fetcher of its own, whether that is used or not. A refresh brings its own, and is
to begin quickly: stops wait for it. What stands in their places can do nothing, and nothing asks it to.
"""

import sys
from types import ModuleType
from typing import Final

_FETCHERS: Final = {
    "tuf.ngclient.urllib3_fetcher": "Urllib3Fetcher",
    "tuf.ngclient._internal.requests_fetcher": "RequestsFetcher",
}

for _module, _fetcher in _FETCHERS.items():
    _stand_in = ModuleType(_module)
    setattr(_stand_in, _fetcher, type(_fetcher, (), {}))
    sys.modules.setdefault(_module, _stand_in)
