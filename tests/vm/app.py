"""An app on the device: asks what a file is, again and again until it is told to stop, and counts right answers and everything else.

usage: app.py anew|keeps FILE LABEL COUNTS STOP

``anew`` takes a new connection for each request and never asks twice. ``keeps`` is edged's own client, which keeps its connection, and
asks once more over a new one when the daemon had closed it before any of an answer came. COUNTS is written after each request; once
STOP is there, the app ends.
"""

import http.client
import json
import socket
import sys
from pathlib import Path

from edged.client import Client

SOCKET = "/run/edged/edged.sock"


class Anew:
    """Raw HTTP."""

    def ask(self, content: bytes) -> str:
        """Return the label of a file; whatever goes wrong is raised."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(SOCKET)
            headers = {"Inference-Header-Content-Length": "0"}
            connection.request("POST", "/v2/models/magika/infer", content, headers)
            outputs = json.loads(connection.getresponse().read())["outputs"]
        finally:
            connection.close()
        return next(output["data"][0] for output in outputs if output["name"] == "label")


class Keeps:
    """The client that comes with edged."""

    def __init__(self) -> None:
        self._client = Client(SOCKET, tensor_path=None)

    def ask(self, content: bytes) -> str:
        """As for the other."""
        return self._client.infer("magika", {"content": content}).outputs["label"][0, 0].decode()


def main() -> None:
    """Ask until told to stop."""
    kind, file, label, counts, stop = sys.argv[1:]
    asker = {"anew": Anew, "keeps": Keeps}[kind]()
    content = Path(file).read_bytes()
    answered = lost = 0
    while not Path(stop).exists():
        try:
            found = asker.ask(content)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a request that was lost
            found = repr(error)
        answered, lost = (answered + 1, lost) if found == label else (answered, lost + 1)
        if found != label:
            print(f"{kind}: {found}", flush=True)  # noqa: T201 - for the journal
        new = Path(f"{counts}.new")
        new.write_text(f"{answered} {lost}\n", encoding="ascii")
        new.replace(counts)


main()
