"""Access to the browser console: loopback alone, or a token; never a page of another site.

| request                              | answer                                              |
|--------------------------------------|-----------------------------------------------------|
| from a page of another origin        | 403: a page that a person visits must move no hand  |
| to loopback by another host name     | 403: a name that resolves to this machine (rebinding) |
| to another address, without token    | 403                                                 |
| with `?token=...`                    | the page, and a cookie for the connection it opens  |

viser offers each page a public address through a server on the internet. `PrivateServer` declines.
"""

import hmac
import http
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import viser
import websockets.asyncio.server as websockets_server
from websockets import Headers
from websockets.http11 import Request, Response

LOOPBACK = ("127.0.0.1", "localhost", "::1")

COOKIE = "handlab_token"

Process = Callable[[Any, Request], Response | None]


def is_loopback(host: str) -> bool:
    """Return whether an address reaches this machine only."""
    return host in LOOPBACK


class PrivateServer(viser.ViserServer):
    """A server that no page can make public."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Return None: a tunnel from the internet would pass by the guard."""
        return None


class WebGuard:
    """Decides about each request.

    Args:
        host: address that is served.
        token: secret of people who may enter; empty: only for loopback, all programs of this
            machine may.

    Raises:
        ValueError: an address besides loopback is served without a token.
    """

    def __init__(self, host: str, token: str) -> None:
        if not (token or is_loopback(host)):
            raise ValueError(f"{host} can be reached by other machines and needs a token")
        self._host, self._token = host, token

    def refusal(self, path: str, headers: Headers) -> str:
        """Return why a request is refused; empty: it is not.

        Args:
            path: path with its query.
            headers: of the request.
        """
        host = urlsplit(f"//{headers.get('Host', '')}")
        if is_loopback(self._host) and host.hostname not in LOOPBACK:
            return "this console answers on 127.0.0.1 and localhost only"
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host.netloc:
            return "a page of another site may not use this console"
        if self._token and not self._knows_token(path, headers):
            return "open this console with its token: the line that starts it shows the address"
        return ""

    def _knows_token(self, path: str, headers: Headers) -> bool:
        return any(hmac.compare_digest(given, self._token) for given in _tokens(path, headers))

    def wrapped(self, process: Process) -> Process:
        """Return a function that refuses requests, and passes the others on."""

        def check(connection: Any, request: Request) -> Response | None:
            if reason := self.refusal(request.path, request.headers):
                body = f"{reason}\n".encode()
                headers = Headers({"Content-Type": "text/plain", "Content-Length": str(len(body))})
                return Response(http.HTTPStatus.FORBIDDEN, "Forbidden", headers, body)
            response = process(connection, request)
            if response is not None and self._token:
                response.headers["Set-Cookie"] = (
                    f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
                )
            return response

        return check

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Guard the server that is started within the context.

        viser has no hook for requests: its own function is wrapped where it is handed over.
        """
        serve: Any = websockets_server.serve

        def guarded(*args: Any, process_request: Process, **options: Any) -> Any:
            return serve(*args, process_request=self.wrapped(process_request), **options)

        websockets_server.serve = guarded  # type: ignore[misc,assignment]
        try:
            yield
        finally:
            websockets_server.serve = serve  # type: ignore[misc]


def _tokens(path: str, headers: Headers) -> Iterator[str]:
    yield from parse_qs(urlsplit(path).query).get("token", [])
    for line in headers.get_all("Cookie"):
        for name, morsel in SimpleCookie(line).items():
            if name == COOKIE:
                yield morsel.value
