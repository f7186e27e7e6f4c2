"""What stands before the product: deploy/nginx.conf, read as text and, where nginx is installed, asked."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from config.web.bodies import purposes
from operations.web_server.channel import IDLE_S
from tests.deploy.nginx import NGINX, Proxy, proxied
from tests.waiting import until

KIB, MIB = 1 << 10, 1 << 20
LIMITS = {"/api/": "4m", "^~ /api/v1/metrics/log": str(settings.METRICS_MAX_BODY_BYTES), "/": "2m"}


def locations() -> dict[str, str]:
    """What stands in each location."""
    return dict(re.findall(r"location (.+?) \{\n(.*?)\n    \}", NGINX, re.DOTALL))


def test_each_purpose_has_its_limit():
    limits = {where: re.findall(r"client_max_body_size (\w+);", inside) for where, inside in locations().items()}
    assert all(len(limit) == 1 for limit in limits.values()), limits
    assert {where: limits[where][0] for where in LIMITS} == LIMITS
    assert {limit[0] for where, limit in limits.items() if where not in LIMITS} == {"16k"}


def test_the_proxy_lets_through_what_the_product_takes_and_little_more():
    (signing_in,) = locations().keys() - LIMITS.keys()
    assert signing_in.removeprefix("~ ^") == purposes.SIGNING_IN.pattern
    passwords = dict.fromkeys(("/sign-in", "/password/new", "/api/v1/auth/token", "/api/v1/tokens"), 16 * KIB)
    for path, let_through in {**passwords, "/vision/digits/edit": 2 * MIB, "/api/v1/experiments": 4 * MIB}.items():
        assert purposes.most_bytes(path) <= let_through <= 1.1 * purposes.most_bytes(path), path
    assert purposes.most_bytes("/api/v1/metrics/log-batch/a/b") == int(LIMITS["^~ /api/v1/metrics/log"])


def test_every_location_passes_on_in_the_same_way():
    for where, inside in locations().items():
        assert set(re.findall(r"^ +(\w+)", inside, re.MULTILINE)) == {"client_max_body_size", "proxy_pass"}, where


def test_the_proxy_says_what_the_product_believes_and_nothing_that_the_client_says():
    for name, value in [
        ("Host", "$host"),
        ("X-Forwarded-For", "$remote_addr"),
        ("X-Forwarded-Proto", "$scheme"),
        ("X-Forwarded-Host", '""'),
        ("Forwarded", '""'),
    ]:
        assert f"proxy_set_header {name} {value};" in NGINX


def test_the_proxy_keeps_connections_for_a_shorter_time_than_the_product():
    kept = re.search(r"keepalive_timeout (\d+)s;", NGINX)
    assert kept
    assert int(kept[1]) < IDLE_S


# What nginx does with it


@dataclass
class Behind:
    """What stands behind the proxy: keeps each request's head and its body's length, answers 200."""

    got: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    port: int = 0

    def handler(self) -> type[BaseHTTPRequestHandler]:
        behind = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                behind.got.append((self.path, dict(self.headers), len(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@pytest.fixture
def behind() -> Iterator[Behind]:
    made = Behind()
    server = ThreadingHTTPServer(("127.0.0.1", 0), made.handler())
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture
def proxy(tmp_path: Path, behind: Behind) -> Iterator[Proxy]:
    with proxied(tmp_path, behind=behind.port) as made:
        yield made


SIZES = [
    ("/sign-in", 16 * KIB),
    ("/account/tokens", 16 * KIB),
    ("/password/new", 16 * KIB),
    ("/join", 16 * KIB),
    ("/admin/login/", 16 * KIB),
    ("/%73ign-in", 16 * KIB),
    ("/api/v1/auth/token", 16 * KIB),
    ("/api/v1/tokens", 16 * KIB),
    ("/api/v1/metrics/log/../../auth/token", 16 * KIB),
    ("/vision/digits/edit", 2 * MIB),
    ("/api/v1/experiments", 4 * MIB),
    ("/api/v1/metrics/log/digits/one", settings.METRICS_MAX_BODY_BYTES),
    ("/api/v1/metrics/log-batch/digits/one", settings.METRICS_MAX_BODY_BYTES),
]


@pytest.mark.parametrize(("path", "limit"), SIZES)
def test_a_body_beyond_its_limit_is_refused_and_never_passed_on(proxy, behind, path, limit):
    assert proxy.post(path, 1024)[0] == 200
    assert proxy.post(path, min(limit, 5 * MIB))[0] == 200
    if limit < settings.METRICS_MAX_BODY_BYTES:
        assert proxy.post(path, limit + 1)[0] == 413
    assert [length for _, _, length in behind.got] == [1024, min(limit, 5 * MIB)]


def test_the_product_hears_from_the_proxy_alone_who_calls(proxy, behind):
    told = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=6.6.6.6",
        "Host": "lab.example.org",
    }
    status, headers = proxy.post("/", 1, **told)
    heard = {name.lower(): value for name, value in behind.got[0][1].items()}
    assert status == 200
    assert (heard["x-forwarded-for"], heard["x-forwarded-proto"], heard["host"]) == ("127.0.0.1", "https", "lab.example.org")
    assert not {"x-forwarded-host", "forwarded"} & set(heard)
    assert headers["server"] == "nginx"  # without its version


def test_the_proxy_writes_down_no_key_of_an_invitation_or_a_password(proxy, tmp_path):
    assert proxy.post("/join?key=hidden-and-long", 1)[0] == 200
    until(lambda: "/join" in (tmp_path / "access.log").read_text(), "the line of a request")
    assert "hidden" not in (tmp_path / "access.log").read_text()
