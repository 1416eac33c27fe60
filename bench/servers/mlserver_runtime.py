"""MLServer with a runtime of its own for ONNX files; measured where it is installed.

``python -m bench.servers.mlserver_runtime PORT NAME=FILE`` writes MLServer's settings beside the socket's log and starts it.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse

from bench.servers.sessions import answer_json, new_session


class OnnxModel(MLModel):
    """One ONNX file behind MLServer's interface."""

    async def load(self) -> bool:
        """Load the file the settings name."""
        self._session: Any = new_session(Path(self.settings.parameters.uri))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        outputs = answer_json(self._session, payload.model_dump())["outputs"]
        return InferenceResponse(model_name=self.name, outputs=outputs)


def main() -> None:
    """Write settings and become MLServer."""
    port, model = sys.argv[1:]
    name, _, path = model.partition("=")
    directory = Path(tempfile.mkdtemp(prefix="bench-mlserver-"))
    settings = {"host": "127.0.0.1", "http_port": int(port), "grpc_port": 0, "metrics_port": 0, "debug": False}
    (directory / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 1, "metrics_endpoint": None}))
    model_settings = {
        "name": name,
        "implementation": "bench.servers.mlserver_runtime.OnnxModel",
        "parameters": {"uri": path},
    }
    (directory / "model-settings.json").write_text(json.dumps(model_settings))
    os.execv(sys.executable, [sys.executable, "-m", "mlserver.cli.main", "start", str(directory)])  # noqa: S606 - becomes it


if __name__ == "__main__":
    main()
