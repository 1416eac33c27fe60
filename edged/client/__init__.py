"""Ask models on this device from Python: numpy arrays in, numpy arrays out. Needs nothing but numpy.

    from edged.client import Client

    with Client() as edged:
        label = edged.infer("magika", {"content": [open("README.md", "rb").read()]})["label"]

``Client`` blocks; ``edged.client.aio.AsyncClient`` is its twin for asyncio; ``Session`` shares memory with the model for those who ask
often or with large tensors, and ``Client`` uses one by itself where that saves time. Errors are those of ``edged.errors``.
"""

from edged.client.call import Call, Result
from edged.client.session import Session
from edged.client.sync import Client, Sequence

__all__ = ["Call", "Client", "Result", "Sequence", "Session"]
