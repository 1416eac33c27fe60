"""LitServe on a loopback port, one worker process, JSON; measured where it is installed."""

import sys
from typing import Any

import litserve

from bench.servers.sessions import answer_json, read_sessions


class Api(litserve.LitAPI):
    """One model behind LitServe's interface."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's interface
        """Load the model in the worker's process."""
        (self.session,) = read_sessions(sys.argv[2:]).values()

    def predict(self, x: dict[str, Any]) -> dict[str, Any]:
        """Answer one request."""
        return answer_json(self.session, x)


def main() -> None:
    """Serve until SIGTERM."""
    path = f"/v2/models/{sys.argv[2].partition('=')[0]}/infer"
    server = litserve.LitServer(Api(api_path=path), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
