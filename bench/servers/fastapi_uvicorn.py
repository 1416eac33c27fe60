"""FastAPI and uvicorn on a Unix socket, the model in the same process; measured where both are installed."""

import sys

import uvicorn
from fastapi import FastAPI, Request, Response

from bench.servers.sessions import HEADER_LENGTH, answer, read_sessions


def main() -> None:
    """Serve until SIGTERM."""
    path, *models = sys.argv[1:]
    sessions = read_sessions(models)
    app = FastAPI()

    @app.post("/v2/models/{model}/infer")
    async def infer(model: str, request: Request) -> Response:
        body, headers = answer(sessions[model], await request.body(), request.headers.get(HEADER_LENGTH))
        return Response(content=body, headers=headers)

    uvicorn.run(app, uds=path, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
