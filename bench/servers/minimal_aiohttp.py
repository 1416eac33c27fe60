"""The server people write themselves: aiohttp on a Unix socket, the model in the same process and the same thread.

No checks, no limits, no deadlines, one request at a time: the least that aiohttp can do, and the measure for what edged adds.
"""

import sys

from aiohttp import web

from bench.servers.sessions import HEADER_LENGTH, answer, read_sessions


def main() -> None:
    """Serve until SIGTERM."""
    path, *models = sys.argv[1:]
    sessions = read_sessions(models)

    async def infer(request: web.Request) -> web.Response:
        body, headers = answer(
            sessions[request.match_info["model"]], await request.read(), request.headers.get(HEADER_LENGTH)
        )
        return web.Response(body=body, headers=headers)

    app = web.Application(client_max_size=1 << 28)
    app.add_routes([web.post("/v2/models/{model}/infer", infer)])
    web.run_app(app, path=path, print=None, access_log=None)


if __name__ == "__main__":
    main()
