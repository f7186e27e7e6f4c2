"""The far side of the port: a small HTTP server that answers as Research Platform does, and keeps what it was sent."""

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "client" / "src"
sys.path[:0] = [str(CLIENT), str(ROOT / "examples")]

import research_platform as rp  # noqa: E402

TOKEN = "rp_a-good-token"
QUICK = rp.Pace(flush_s=0.02, heartbeat_s=60.0, backoff_s=0.02, backoff_most_s=0.1, request_s=5.0, flush_timeout_s=10.0)
RECEIPT = (200, {"status": "success", "accepted": 1, "visible": False, "batch_id": "b"}, {})


@dataclass(frozen=True)
class Request:
    """One request as it arrived: `raw` are the bytes on the wire."""

    method: str
    path: str
    headers: dict
    raw: bytes
    at: float

    @property
    def json(self):
        content = gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw
        return json.loads(content, parse_constant=self._refuse_constant)

    @staticmethod
    def _refuse_constant(word):
        raise AssertionError(f"{word} is not JSON")


@dataclass
class FarSide:
    """What was received, and what to answer next: each planned answer is (status, content, headers), or "hang up"."""

    port: int = 0
    requests: list = field(default_factory=list)
    planned: deque = field(default_factory=deque)
    delay_s: float = 0.0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def of(self, method, ending=""):
        return [r for r in self.requests if r.method == method and ending in r.path]

    @property
    def batches(self):
        return self.of("POST", "/metrics/log-batch/")

    @property
    def endings(self):
        found = [r.json for r in self.of("PATCH") if "status" in r.json]
        return [{word: value for word, value in ending.items() if word != "missing"} for ending in found]

    def plan_for_batches(self, *answers):
        self.planned.extend(answers)

    def answer(self, request):
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"error": {"code": "unauthenticated", "message": "This token is not known."}, "request_id": "r"}, {}
        if request.path == "/api/v1/experiments":
            return 201, self.record(request.json), {}
        if "/log-batch/" in request.path:
            return self.planned.popleft() if self.planned else RECEIPT
        if request.path.endswith("/heartbeat"):
            return 204, None, {}
        return 200, {"results": []}, {}

    @staticmethod
    def record(asked):
        project = {"id": "5f0c8a3e-0000-4000-8000-000000000001", "slug": asked["project"]}
        slug = asked["name"].lower().replace(" ", "-")
        return {
            "id": "0d3b9f6e-0000-4000-8000-000000000002",
            "slug": slug,
            "project": project,
            "status": "running",
            "url": f"/{asked['project']}/{slug}",
            "writer": 7,
        }


class Handler(BaseHTTPRequestHandler):
    """Keeps each request, then answers as the far side says."""

    far: FarSide

    def serve(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, raw, time.monotonic())
        self.far.requests.append(request)
        time.sleep(self.far.delay_s)
        answer = self.far.answer(request)
        if answer == "hang up":
            self.close_connection = True
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # a client that waits no longer
            self.reply(*answer)

    def reply(self, status, content, headers):
        body = b"" if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    do_GET = do_POST = do_PATCH = serve  # noqa: N815


def serving(far, port=0):
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"far": far}))
    far.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def heed_signals() -> None:
    """Let Ctrl-C and the like reach a script, also where the tests themselves run in the background and ignore them."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture
def far():
    side = FarSide()
    server = serving(side)
    yield side
    server.shutdown()
    server.server_close()


@pytest.fixture
def absent():
    """An address where nobody listens, and a way to let somebody appear there."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        side = FarSide(port=held.getsockname()[1])
    servers = []

    def appear():
        servers.append(serving(side, side.port))

    side.appear = appear
    yield side
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    """No test sees the credentials of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("RP_")]:
        monkeypatch.delenv(name)
    home, here = tmp_path / "home", tmp_path / "work" / "deep"
    home.mkdir()
    here.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)


@pytest.fixture
def start(far):
    """`init` against the far side, at a pace fit for tests; what is left open is finished."""
    runs = []

    def started(**options):
        options = {"project": "digits", "name": "lr 3e-4", "url": far.url, "token": TOKEN, "pace": QUICK, **options}
        runs.append(rp.init(**options))
        return runs[-1]

    yield started
    for run in runs:
        run.finish(timeout_s=0.2)


@pytest.fixture
def script(far, tmp_path):
    """Run Python source in a process of its own, with the far side in its environment. Gives the process."""
    started = []

    def run(source, *, command=None, arguments=(), warnings="error", cwd=None, **environment):
        path = tmp_path / "train.py"
        path.write_text("import research_platform as rp\n" + source)
        settings = {"RP_URL": far.url, "RP_TOKEN": TOKEN, "PYTHONPATH": str(CLIENT), "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment}
        command = command or [sys.executable, "-W", warnings, str(path), *arguments]
        process = subprocess.Popen(
            command, env=settings, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def until(condition, within_s=10.0):
    """Wait for `condition`; fail where it does not come."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.005)
