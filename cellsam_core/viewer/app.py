"""The application: addresses of the page, errors as sentences, threads for slow work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cellsam_core.errors import InputError
from cellsam_core.viewer.guard import Guard
from cellsam_core.viewer.looking import Looking

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from cellsam_core.viewer.editing import Editing
    from cellsam_core.viewer.samples import Library
    from cellsam_core.viewer.teaching import Teaching

STATIC = Path(__file__).parent / "static"
TILES_AT_ONCE = 2


def make_app(library: Library, token: str, editing: Editing, teaching: Teaching) -> ASGIApp:
    """Build the application of a folder of results.

    Parameters
    ----------
    library
        The samples.
    token
        Secret first part of every address.
    editing
        Answers to requests that change the user's tables.
    teaching
        Answers to requests that start commands.

    Returns
    -------
    callable
        ASGI application.
    """
    looking = Looking(library)
    for_tiles = anyio.CapacityLimiter(TILES_AT_ONCE)
    for_model = anyio.CapacityLimiter(1)
    table = "/api/{sample}/corrections/{table}"
    routes = [
        Route("/", _page),
        Mount("/static", StaticFiles(directory=STATIC)),
        *(Route(f"/api/{path}", _threaded(f, for_tiles)) for path, f in looking.tiles.items()),
        *(Route(f"/api/{path}", _threaded(f)) for path, f in looking.tables.items()),
        Route("/api/regions", _threaded(teaching.regions)),
        Route("/api/jobs", _threaded(teaching.jobs)),
        Route("/api/jobs", _threaded(teaching.start), methods=["POST"]),
        Route("/api/jobs/{key}", _threaded(teaching.end), methods=["DELETE"]),
        Route("/api/{sample}/try", _threaded(teaching.compare, for_model), methods=["POST"]),
        Route("/api/{sample}/corrections", _threaded(editing.list_rows)),
        Route("/api/{sample}/seen", _threaded(editing.seen)),
        Route(table, _threaded(editing.append), methods=["POST"]),
        Route(f"{table}/{{key}}", _threaded(editing.remove), methods=["DELETE"]),
        Route("/api/{sample}/model", _threaded(editing.start_model), methods=["POST"]),
        Route("/api/{sample}/prompt", _threaded(editing.prompt, for_model), methods=["POST"]),
    ]
    handlers: Any = {HTTPException: _http_error, InputError: _input_error}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token)


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-store"})


def _threaded(
    answer: Callable[[Request], Response], limiter: anyio.CapacityLimiter | None = None
) -> Callable[[Request], Awaitable[Response]]:
    """Run a function that reads files in a thread, so that no request waits for another."""

    async def endpoint(request: Request) -> Response:
        request.state.content = await request.body()
        return await anyio.to_thread.run_sync(answer, request, limiter=limiter)

    return endpoint


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail, "remedy": ""}, error.status_code)


async def _input_error(request: Request, error: Exception) -> Response:
    sentence, _, remedy = str(error).rpartition("; ")
    return JSONResponse({"error": sentence, "remedy": remedy}, 409)
