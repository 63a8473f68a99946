"""ETags for answers in JSON: who has the newest one is told so in a few bytes."""

import hashlib
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CACHED = b"application/json"


class ConditionalGet:
    """Adds a weak ETag to each answer of a GET that is JSON, and answers 304 where the client has it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http" and scope["method"] == "GET":
            send = _Answer(send, Headers(scope=scope).get("if-none-match", "")).send
        await self._app(scope, receive, send)


class _Answer:
    """Holds an answer back until its body is whole; streams go through as they come."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = {tag.strip() for tag in known.split(",")}
        self._start: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._is_cached(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    @staticmethod
    def _is_cached(message: Message) -> bool:
        kind = Headers(raw=message["headers"]).get("content-type", "")
        return bool(message["status"] == HTTPStatus.OK and kind.encode().startswith(_CACHED))

    async def _finish(self, start: Message) -> None:
        tag = f'W/"{hashlib.blake2b(self._body, digest_size=12).hexdigest()}"'
        headers = MutableHeaders(raw=start["headers"])
        headers["etag"] = tag
        headers["cache-control"] = "no-cache"
        if tag in self._known:
            del headers["content-length"]
            await self._send({**start, "status": HTTPStatus.NOT_MODIFIED, "headers": headers.raw})
            await self._send({"type": "http.response.body", "body": b""})
        else:
            await self._send({**start, "headers": headers.raw})
            await self._send({"type": "http.response.body", "body": bytes(self._body)})
