"""MLServer on a loopback port, with a runtime of its own for ONNX files, in one process; measured where it is installed.

Needs 1.7: older ones do not start with today's pydantic. Its pool of worker processes is off: it only adds to what a request costs, and
that of 1.7.1 does not start with uvloop 0.23. So are metrics, and what would open connections (tracing, Kafka), even if the environment
asks for it.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from mlserver import MLModel
from mlserver.cli import main as run_mlserver
from mlserver.types import InferenceRequest, InferenceResponse

from bench.servers.sessions import answer_json, new_session

IMPLEMENTATION: Final = "bench.servers.mlserver_runtime.OnnxModel"
SETTINGS: Final = {
    "host": "127.0.0.1",
    "grpc_port": 0,
    "debug": False,
    "parallel_workers": 0,
    "metrics_endpoint": None,
    "tracing_server": None,
    "kafka_enabled": False,
}


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
    """Write settings and serve until SIGTERM."""
    port, model = sys.argv[1:]
    name, _, path = model.partition("=")
    with tempfile.TemporaryDirectory(prefix="bench-mlserver-") as directory:
        settings = SETTINGS | {"http_port": int(port), "environments_dir": directory}
        Path(directory, "settings.json").write_text(json.dumps(settings))
        model_settings = {"name": name, "implementation": IMPLEMENTATION, "parameters": {"uri": path}}
        Path(directory, "model-settings.json").write_text(json.dumps(model_settings))
        sys.argv[1:] = ["start", directory]
        run_mlserver()


if __name__ == "__main__":
    main()
