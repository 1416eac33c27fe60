"""Who the peer is comes from the kernel."""

import os
import socket

from edged.callers.peer import Peer, peer_of


def test_the_peer_of_a_pair_is_this_process():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours) == Peer(pid=os.getpid(), uid=os.getuid(), gid=os.getgid())
