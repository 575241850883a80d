"""Every request passes here first: token, host, origin, kind and size of the body, headers."""

from __future__ import annotations

import asyncio
import hmac
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
MAX_BODY_BYTES = 1 << 20
AT_ONCE = 8
MAX_WAITING = 64
# The hash is that of the one constant style that OpenSeadragon adds for touch screens.
POLICY = (
    "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='; "
    "img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Layer around the application that refuses what does not come from the user's own page.

    The token is the first part of the path and not a cookie: cookies are not separated by port, so
    a browser would send it to every server of the same machine.

    Parameters
    ----------
    app
        Application that is protected.
    token
        Secret first part of the path.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._prefix = f"/{token}"
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        send = _with_headers(send)
        refusal = self._refusal(scope)
        if refusal is None and self._waiting >= MAX_WAITING:
            refusal = 503, "Too many requests at once; the page tries again."
        if refusal is not None:
            await refuse(send, *refusal)
            return
        body = await _read(receive)
        if body is None:
            await refuse(send, 413, f"The request is larger than {MAX_BODY_BYTES} bytes.")
            return
        self._waiting += 1
        try:
            async with self._slots:
                await self._app(self._inner(scope), _replay(body, receive), send)
        finally:
            self._waiting -= 1

    def _inner(self, scope: Scope) -> Scope:
        path = scope["path"][len(self._prefix) :]
        return {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Return status and sentence if the request must not be answered."""
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        host = headers.get("host", "")
        if _host_of(f"//{host}") not in HOSTS:
            return 403, "This page answers to 127.0.0.1 and localhost only."
        first = "/" + scope["path"][1:].partition("/")[0]
        if not hmac.compare_digest(first.encode(), self._prefix.encode()):
            return 403, "The address lacks the token: open the whole line that `view` printed."
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return 403, "The request comes from another page."
        if scope["method"] in ("POST", "DELETE"):
            kind = headers.get("content-type", "").partition(";")[0].strip()
            if kind != "application/json":
                return 415, "Only application/json is taken."
        return None


def _host_of(address: str) -> str | None:
    """Return the host of an address without its port; None where it is broken."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def refuse(send: Send, status: int, sentence: str) -> None:
    """Answer with a sentence as JSON."""
    body = json.dumps({"error": sentence, "remedy": ""}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *HEADERS]}
        await send(message)

    return wrapped


async def _read(receive: Receive) -> bytes | None:
    """Read the whole body; None if it is too large."""
    parts, size, goes_on = [], 0, True
    while goes_on:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        goes_on = message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read to the application, once; then the messages that follow."""
    pending = [body]

    async def replayed() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return replayed
