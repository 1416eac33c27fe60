"""The template's process over a real socket, whose far end a test plays."""

import asyncio
import os
import socket

import pytest

from edged.errors import BackendError
from edged.host import process
from edged.host.process import TemplateProcess
from edged.runtime.control import MAX_DATAGRAM_BYTES, Forked, Ready, decode_to_template, encode
from tests.fakes.handle_runs import SPEC


@pytest.fixture
async def template(monkeypatch):
    """The template that was started last, as its own end of the socket."""
    ends = []

    def spawn(descriptor):
        ends.append(socket.socket(fileno=os.dup(descriptor)))
        ends[0].settimeout(30)
        ends[0].send(encode(Ready(runtime="fake 1.0")))
        return 0

    monkeypatch.setattr(process, "_spawn", spawn)
    started = TemplateProcess()
    await started.start()
    with ends[0]:
        yield started, ends[0]
        await started.close()


async def test_a_worker_whose_descriptor_cannot_be_had_is_refused_at_once(template):
    """The kernel drops descriptors that the receiver has no numbers for, and delivers the message without them."""
    started, end = template
    asking = asyncio.create_task(started.fork(7, SPEC, []))
    await asyncio.sleep(0)
    request = decode_to_template(end.recv(MAX_DATAGRAM_BYTES))
    end.send(encode(Forked(request=request.request, pid=os.getpid())))

    async with asyncio.timeout(30):
        with pytest.raises(BackendError, match="too many files are open"):
            await asking
