"""Keeps web pages of others out.

A browser sends requests of any page to 127.0.0.1. So where nobody is asked who they are, a request must name this
machine as its host (a name that was made to point here is refused: DNS rebinding). Everywhere, one that changes
something must not come from another origin.
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.server.problems import problem

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Guard:
    """Lets through what was sent to this machine by itself or, where a login is demanded, to any name."""

    def __init__(self, app: ASGIApp, *, demands_login: bool = False) -> None:
        self._app = app
        self._demands_login = demands_login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        why_not = self._why_not(scope) if scope["type"] == "http" else ""
        if why_not:
            await problem(HTTPStatus.FORBIDDEN, "forbidden", why_not)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _why_not(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._demands_login and _without_port(host) not in _LOCAL:
            return f"this server is for this machine alone, and not {host!r}; to have users log in: modelyard up --auth"
        origin = headers.get("origin")
        if scope["method"] in _SAFE or origin is None:
            return ""
        if urlsplit(origin).netloc.lower() != host.lower():
            return f"a page of {origin} may change nothing here"
        return ""


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
