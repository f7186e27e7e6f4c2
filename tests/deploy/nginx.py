"""nginx with deploy/nginx.conf, started for a test on this machine's ports and files."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.compose import ROOT
from tests.ports import free_port
from tests.waiting import until

NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
PROGRAM = os.environ.get("NGINX") or shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


@dataclass
class Proxy:
    """nginx on a free port."""

    port: int

    @property
    def context(self) -> ssl.SSLContext:
        """Believes the certificate that was made for the test."""
        made = ssl.create_default_context()
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        return made

    def connect(self) -> http.client.HTTPSConnection:
        """A connection."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.context)

    def socket(self) -> ssl.SSLSocket:
        """A connection on which anything may be sent."""
        return self.context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=30))

    def post(self, path: str, size: int, **headers: str) -> tuple[int, dict[str, str]]:
        """The status and the headers of the answer to a body of that many bytes."""
        with contextlib.closing(self.connect()) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has answered before it took the whole body
                connection.request("POST", path, b"x" * size, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def certified(folder: Path) -> tuple[Path, Path]:
    """A key and its certificate."""
    key, certificate = folder / "key", folder / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=lab", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return key, certificate


def configured(folder: Path, *, port: int, behind: int) -> Path:
    """The configuration with this machine's ports and files, within what a distribution puts around it."""
    key, certificate = certified(folder)
    text = re.sub(r"(ssl_certificate) \S+;", rf"\1 {certificate};", NGINX)
    text = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {key};", text)
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{behind}").replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    text = text.replace("/var/log/nginx", str(folder))
    text = re.sub(r"\n *listen \[::\]:\w+( ssl)?;", "", text).replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    places = " ".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root; " if os.geteuid() == 0 else ""
    whole = f"{user}pid {folder}/pid; error_log stderr; daemon off; worker_processes 1; events {{}} http {{ access_log off; {places}\n{text}\n}}"
    (folder / "nginx.conf").write_text(whole)
    return folder / "nginx.conf"


@contextlib.contextmanager
def proxied(folder: Path, *, behind: int) -> Iterator[Proxy]:
    """nginx before what listens on the port `behind`. Skips the test where there is no nginx."""
    if not PROGRAM:
        pytest.skip("nginx is not installed (NGINX=/path/to/nginx says where it is)")
    port = free_port()
    config = configured(folder, port=port, behind=behind)
    process = subprocess.Popen([PROGRAM, "-p", str(folder), "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_open(port))
        yield Proxy(port)
    finally:
        process.terminate()
        process.wait(timeout=20)


def is_open(port: int) -> bool:
    """Whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
