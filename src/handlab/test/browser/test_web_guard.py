"""Who may use the browser console."""

import http.client
import threading
import urllib.error
import urllib.request

import msgspec
import pytest
import viser
from websockets import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from handlab.browser.web_guard import PrivateServer, WebGuard

PROTOCOL = [Subprotocol(f"viser-v{viser.__version__}")]


@pytest.mark.parametrize(
    ("host", "token", "path", "headers", "refused"),
    [
        ("127.0.0.1", "", "/", {"Host": "127.0.0.1:8080"}, ""),
        ("127.0.0.1", "", "/", {"Host": "localhost:8080", "Origin": "http://localhost:8080"}, ""),
        ("127.0.0.1", "", "/", {"Host": "127.0.0.1:80", "Origin": "http://evil.example"}, "site"),
        ("127.0.0.1", "", "/", {"Host": "127.0.0.1:80", "Origin": "http://127.0.0.1:81"}, "site"),
        ("127.0.0.1", "", "/", {"Host": "127.0.0.1:8080", "Origin": "null"}, "site"),
        ("127.0.0.1", "", "/", {"Host": "rebound.example:8080"}, "localhost"),
        ("0.0.0.0", "s", "/", {"Host": "10.0.0.7:8080"}, "token"),
        ("0.0.0.0", "s", "/?token=t", {"Host": "10.0.0.7:8080"}, "token"),
        ("0.0.0.0", "s", "/?token=s", {"Host": "10.0.0.7:8080"}, ""),
        ("0.0.0.0", "s", "/", {"Host": "a:1", "Cookie": "x=1; handlab_token=s"}, ""),
        ("0.0.0.0", "s", "/?token=s", {"Host": "a:1", "Origin": "http://b:1"}, "site"),
        ("127.0.0.1", "s", "/", {"Host": "127.0.0.1:8080"}, "token"),
    ],
)
def test_requests_are_refused_with_the_reason(host, token, path, headers, refused):
    reason = WebGuard(host, token).refusal(path, Headers(headers))
    assert refused in reason and bool(refused) == bool(reason)


def test_another_address_needs_a_token():
    with pytest.raises(ValueError, match="token"):
        WebGuard("0.0.0.0", "")


@pytest.fixture
def servers():
    return []


@pytest.fixture
def served(servers):

    def serve(token=""):
        with WebGuard("127.0.0.1", token).guarding():
            server = PrivateServer("127.0.0.1", 0, verbose=False)
        servers.append(server)
        return server.get_port()

    yield serve
    for server in servers:
        server.stop()


def test_a_page_of_another_site_reaches_neither_page_nor_connection(served):
    port = served()
    own = f"http://127.0.0.1:{port}"
    with connect(f"ws://127.0.0.1:{port}", subprotocols=PROTOCOL, origin=own):
        pass
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}", subprotocols=PROTOCOL, origin="http://evil.example")
    request = urllib.request.Request(own, headers={"Origin": "http://evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_a_token_opens_the_page_and_its_cookie_the_connection(served):
    port = served("secret")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 403
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/?token=secret")
    answer = connection.getresponse()
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://127.0.0.1:{port}", subprotocols=PROTOCOL)
    own = {"Cookie": cookie.partition(";")[0]}
    with connect(f"ws://127.0.0.1:{port}", subprotocols=PROTOCOL, additional_headers=own):
        pass


def test_no_page_can_make_the_server_public(served, servers, monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(viser._viser, "ViserTunnel", lambda *_: pytest.fail("made a tunnel"))
    port = served()
    [server] = servers
    request = server.request_share_url
    monkeypatch.setattr(server, "request_share_url", lambda: (request(), asked.set()))
    with connect(f"ws://127.0.0.1:{port}", subprotocols=PROTOCOL) as page:
        page.send(msgspec.msgpack.encode({"type": "ShareUrlRequest"}))
        assert asked.wait(30.0)
    assert request() is None and server._share_tunnel is None
