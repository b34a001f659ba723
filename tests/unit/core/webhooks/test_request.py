"""Requests as real web frameworks hand them over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from tuner_core import webhooks
from tuner_core.webhooks import WebhookRefused, WebhookRequest


def test_its_representation_shows_nothing_of_the_call():
    request = WebhookRequest(
        "POST", "/voice?token=s3cret", {"X-Twilio-Signature": "sig"}, b"From=%2B14155550123"
    )
    assert repr(request) == "WebhookRequest(method='POST')"


def test_headers_are_found_whatever_their_case_and_shape():
    pairs = [
        ("content-TYPE", " application/x-www-form-urlencoded;charset=utf-8 "),
        ("a", "1"),
        ("A", "2"),
        ("b", ""),
    ]
    request = WebhookRequest("POST", "/", pairs, b"x=1&x=2&y=")
    assert request.has_form
    assert (request.header("A"), request.header("B"), request.header("c")) == ("1,2", None, None)
    assert request.form() == {"x": ["1", "2"], "y": [""]}


async def _echo(request: Request) -> Response:
    seen = WebhookRequest.from_asgi(request.scope, await request.body())
    return JSONResponse([seen.method, seen.path_and_query, seen.header("X-One"), seen.form()])


async def test_starlette_keeps_the_path_as_it_was_sent():
    routes = [Route("/{rest:path}", _echo, methods=["POST"])]
    app = Starlette(routes=[Mount("/in", app=Starlette(routes=routes))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://inside:8000") as client:
        answer = await client.post("/in/a%20b/c%2Fd?x=%2B1&y=", headers={"X-One": "1"}, data={"From": "+1"})
    assert answer.json() == ["POST", "/in/a%20b/c%2Fd?x=%2B1&y=", "1", {"From": ["+1"]}]


async def test_a_refused_webhook_never_reaches_the_app():
    check = webhooks.exotel(networks=["127.0.0.1"], token="right")

    async def voice(request: Request) -> Response:
        try:
            check.check(WebhookRequest.from_asgi(request.scope, await request.body()))
        except WebhookRefused as refusal:
            return PlainTextResponse(refusal.reason, 403)
        return PlainTextResponse("welcome")

    transport = httpx.ASGITransport(Starlette(routes=[Route("/voice", voice)]), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://inside") as client:
        answers = [
            await client.get("/voice", params={"token": token}) for token in ("wrong", "right", "right")
        ]
    assert [(answer.status_code, answer.text) for answer in answers] == [
        (403, "wrong"),
        (200, "welcome"),
        (403, "replayed"),
    ]


def test_the_address_may_be_given_where_a_proxy_stands_before():
    scope = {"type": "http", "method": "GET", "path": "/ü", "headers": [], "client": ("10.0.0.1", 5)}
    assert WebhookRequest.from_asgi(scope).client_ip == "10.0.0.1"
    assert WebhookRequest.from_asgi(scope, client_ip="203.0.113.7").client_ip == "203.0.113.7"
    assert WebhookRequest.from_asgi(scope).path_and_query == "/%C3%BC"
    assert WebhookRequest.from_asgi({**scope, "client": None}).client_ip is None


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def wsgi() -> Iterator[tuple[int, list[WebhookRequest]]]:
    requests: list[WebhookRequest] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
        requests.append(WebhookRequest.from_wsgi(environ, body))
        start_response("204 No Content", [])
        return []

    with make_server("127.0.0.1", 0, app, handler_class=_Silent) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield server.server_port, requests
        thread.join(10)


def test_a_wsgi_server_hands_over_the_same(wsgi: tuple[int, list[WebhookRequest]]):
    port, requests = wsgi
    connection = HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": "abc"}
    connection.request("POST", "/a%20b/%C3%BC?x=%2B1", b"From=%2B1", headers)
    connection.getresponse()
    connection.close()
    (request,) = requests
    assert (request.method, request.path_and_query) == ("POST", "/a%20b/%C3%BC?x=%2B1")
    assert request.has_form
    assert (request.header("X-Twilio-Signature"), request.body) == ("abc", b"From=%2B1")
    assert request.client_ip == "127.0.0.1"


@pytest.mark.parametrize("name", ["REQUEST_URI", "RAW_URI"])
def test_a_wsgi_server_that_tells_the_raw_path_is_believed(name: str):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a/b", name: "/a%2Fb?x=1"}
    assert WebhookRequest.from_wsgi(environ).path_and_query == "/a%2Fb?x=1"
