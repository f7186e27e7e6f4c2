"""Messages on their way: to a real HTTP server, to a real mail server, and nowhere that they must not go."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import ipaddress
import json
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Team, User
from alerts import lifecycle as alerts
from alerts.models import Alert, Channel, Delivery, Kind, Severity
from alerts.sending import allowance, channels, internet, outbox, turns, webhooks
from alerts.sending.outbox import deliver_due
from config.errors import Invalid, TooManyRequests

pytestmark = pytest.mark.differs_on_servers("the outbox is worked off under locks")
SECRET = "a secret of sufficient length"


@dataclass
class Hook:
    """A web server that keeps what it is sent and answers as told."""

    url: str = ""
    status: int = 200
    location: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the standard library's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.got.append((dict(self.headers), body))
                self.send_response(hook.status)
                if hook.location:
                    self.send_header("Location", hook.location)
                self.end_headers()
                self.wfile.write(b"x" * 100_000)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@pytest.fixture
def hook(settings) -> Iterator[Hook]:
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    found = Hook()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), found.handler())
    found.url = f"http://127.0.0.1:{server.server_port}/hooks/T1?key=k"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


@pytest.fixture
def other_team(db) -> Team:
    return Team.objects.create(name="Others")


@pytest.fixture
def channel(team, hook) -> Channel:
    return channels.create(team, name="Slack", kind=Channel.Kind.WEBHOOK, target=hook.url, secret=SECRET)


@pytest.fixture
def alert(experiment, channel) -> Alert:
    return alerts.open_alert(kind=Kind.STALLED, severity=Severity.MID, experiment=experiment, message="No point for 94 s.")


def test_a_webhook_gets_a_signed_message_that_slack_and_programs_can_read(alert, hook, settings):
    assert deliver_due() == 1
    (headers, body), delivery = hook.got[0], Delivery.objects.get()
    signed = headers["X-Timestamp"].encode() + b"." + body
    assert headers["X-Signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert abs(time.time() - int(headers["X-Timestamp"])) < 60
    assert headers["X-Delivery"] == str(delivery.pk)
    assert headers["Host"].startswith("127.0.0.1:")
    said = json.loads(body)
    assert said["text"].startswith("Stalled: digits / baseline\nNo point for 94 s.\n" + settings.SITE_URL)
    assert said["blocks"][0]["type"] == "section"
    assert (said["event"], said["alert"]["kind"], said["alert"]["experiment"]) == ("opened", "stalled", "baseline")
    assert delivery.state == Delivery.State.DONE


def test_what_arrived_is_not_sent_again(alert, hook):
    deliver_due()
    assert deliver_due() == 0
    assert len(hook.got) == 1


def test_the_end_is_sent_too(alert, hook, experiment):
    alerts.resolve(kind=Kind.STALLED, experiment=experiment, why="It was heard again.")
    deliver_due()
    assert [json.loads(body)["event"] for _, body in hook.got] == ["opened", "resolved"]
    assert json.loads(hook.got[1][1])["text"].startswith("Resolved: Stalled: digits / baseline\nIt was heard again.")


def test_what_is_refused_is_tried_again_later_and_later_under_the_same_id_and_given_up_after_a_day(alert, hook):
    hook.status = 500
    at, waits = timezone.now(), []
    while Delivery.objects.get().state == Delivery.State.WAITING:
        assert outbox.deliver_due(at=at) == 0
        kept = Delivery.objects.get()
        assert "answered 500" in kept.last_error
        assert outbox.deliver_due(at=at) == 0  # not due yet
        waits.append((kept.next_at - at).total_seconds())
        at = kept.next_at
        assert len(waits) < 60
    assert Delivery.objects.get().state == Delivery.State.FAILED
    assert 15 <= waits[0] <= 30
    assert waits[3] > waits[0]
    assert max(waits) <= 7200
    assert len({headers["X-Delivery"] for headers, _ in hook.got}) == 1
    assert len(hook.got) == len(waits)


def test_a_server_that_comes_back_gets_what_waited(alert, hook):
    hook.status = 503
    deliver_due()
    hook.status = 204
    assert outbox.deliver_due(at=timezone.now() + timedelta(minutes=1)) == 1
    assert Delivery.objects.get().state == Delivery.State.DONE


def test_a_delivery_in_the_hands_of_a_process_that_died_is_taken_up_by_another(alert, hook):
    delivery, now = Delivery.objects.select_related("channel").get(), timezone.now()
    assert outbox.is_taken(delivery, at=now)
    assert not outbox.is_taken(delivery, at=now)
    assert outbox.deliver_due(at=now + timedelta(minutes=1)) == 0
    assert outbox.deliver_due(at=now + timedelta(minutes=3)) == 1


def test_what_is_over_is_forgotten_after_a_month_and_what_waits_is_kept(alert, hook, experiment):
    deliver_due()
    alerts.open_alert(kind=Kind.NO_DATA, severity=Severity.MID, experiment=experiment, message="m")
    assert outbox.forget_old(at=timezone.now() + timedelta(days=29)) == 0
    assert outbox.forget_old(at=timezone.now() + timedelta(days=31)) == 1
    assert Delivery.objects.get().state == Delivery.State.WAITING


def test_a_channel_that_fails_holds_up_no_other(alert, hook, team, experiment):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = channels.create(team, name="dead", kind=Channel.Kind.WEBHOOK, target=f"http://127.0.0.1:{closed.getsockname()[1]}/")
        for metric in ("a", "b", "c"):
            alerts.open_alert(kind=Kind.NOT_FINITE, severity=Severity.HIGH, experiment=experiment, metric=metric, message="NaN")
        assert deliver_due() == 4
    assert sorted(Delivery.objects.filter(channel=dead).values_list("attempts", flat=True)) == [0, 0, 1]


def test_no_redirect_is_followed(alert, hook, settings):
    hook.status, hook.location = 302, hook.url
    deliver_due()
    assert len(hook.got) == 1
    assert "redirects are not followed" in Delivery.objects.get().last_error


INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1", "fec0::1", "feff::1", "fc00::1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b:1::1",
    "2001::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1", "4000::1", "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:a00:1",
    "::ffff:8.8.8.8", "fe80::5efe:8.8.8.8", "192.88.99.1", "192.0.0.8", "198.18.0.1", "203.0.113.1", "192.0.0.192",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_not_public(address):
    assert not internet.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_an_address_of_the_open_internet_is_public(address):
    assert internet.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_nothing_is_sent_into_our_own_network_however_it_is_spelled(alert, hook, settings, host):
    settings.WEBHOOK_ALLOWED_HOSTS = []
    port = hook.url.split(":")[2].split("/")[0]
    Channel.objects.update(target=f"http://{host}:{port}/")
    assert deliver_due() == 0
    assert hook.got == []
    assert Delivery.objects.get().last_error == webhooks.UNREACHED.format(host=host.strip("[]"))
    with pytest.raises(Invalid, match="leads to a private, local or reserved address"):
        webhooks.check_url(f"https://{host}/")


def test_an_error_does_not_tell_which_names_there_are_inside(alert, hook, settings, monkeypatch, caplog):
    """A name that leads nowhere, one that leads inside, and one where nobody listens: made and sent to alike, with the same words."""
    settings.WEBHOOK_ALLOWED_HOSTS = ["open.example"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port, real = closed.getsockname()[1], socket.getaddrinfo

        def resolver(host: Any, *args: Any, **options: Any) -> Any:
            if host == "nowhere.example":
                raise socket.gaierror(-2, "Name or service not known")
            return real("10.0.0.1" if host == "inside.example" else "127.0.0.1", *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        said = set()
        for name in ("nowhere", "inside", "open"):
            channels.change(Channel.objects.get(), target=f"https://{name}.example:{port}/")
            said.add(outbox.send_test(Channel.objects.get()).last_error.replace(f"{name}.example", "x.example"))
    assert said == {webhooks.UNREACHED.format(host="x.example")}
    assert "inside.example leads to 10.0.0.1" in caplog.text  # operators read it in the log


def test_a_channel_is_made_without_asking_where_its_name_leads(team, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("It was asked for."))
    channels.create(team, name="x", kind=Channel.Kind.WEBHOOK, target="https://hooks.example.org/")


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait(60) and [])
    with pytest.raises(webhooks.NotDelivered):
        webhooks.post("https://slow.example/", {}, secret=SECRET, delivery="1", within_s=0.2)
    never.set()


def test_few_names_are_asked_for_at_once(monkeypatch):
    never = threading.Event()
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host) or (never.wait(60) and []))
    for number in range(internet.LOOKUPS_AT_ONCE + 5):
        assert internet.found_at(f"{number}.example", 443, within_s=0.001) == []
    never.set()
    assert len(asked) <= internet.LOOKUPS_AT_ONCE


def test_a_name_is_looked_up_once_and_that_address_is_connected_to(hook, settings, monkeypatch):
    """What a name says a second time cannot lead anywhere else: a resolver that answers the first question alone is enough."""
    port = int(hook.url.split(":")[2].split("/")[0])
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolver(host: Any, *args: Any, **options: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "hooks.example" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    settings.WEBHOOK_ALLOWED_HOSTS = ["hooks.example"]
    webhooks.post(f"http://hooks.example:{port}/", {}, secret=SECRET, delivery="1")
    assert asked.count("hooks.example") == 1
    assert hook.got[0][0]["Host"] == f"hooks.example:{port}"


NO_ADDRESS = [
    "", "ftp://example.com/", "https://", "https://user:pass@example.com/", "javascript:alert(1)", "https://exa mple.com/", "https://[::1",
    "file:///etc/passwd", "https://example.com:99999/", "https://ex\u00e4mple.com/",
]  # fmt: skip


@pytest.mark.parametrize("url", NO_ADDRESS)
def test_what_is_no_address_is_refused_when_the_channel_is_made(team, url):
    with pytest.raises(Invalid):
        channels.create(team, name="x", kind=Channel.Kind.WEBHOOK, target=url)
    assert not Channel.objects.exists()


class Dripping(socketserver.BaseRequestHandler):
    """Answers a byte now and then, for ever."""

    def handle(self) -> None:
        self.request.recv(65536)
        try:
            while True:
                self.request.sendall(b"H")
                time.sleep(0.2)
        except OSError:
            return


def test_a_server_that_answers_for_ever_is_left(settings):
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        began = time.monotonic()
        with pytest.raises(webhooks.NotDelivered):
            webhooks.post(f"http://127.0.0.1:{server.server_address[1]}/", {}, secret=SECRET, delivery="1", within_s=1.0)
        assert time.monotonic() - began < 30
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


@pytest.fixture
def certificate(tmp_path) -> tuple[str, str]:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return str(cert), str(key)


def test_tls_asks_for_the_names_own_certificate(hook, settings, certificate, monkeypatch):
    settings.WEBHOOK_ALLOWED_HOSTS = ["localhost"]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), hook.handler())
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    url = f"https://localhost:{server.server_port}/"
    try:
        with pytest.raises(webhooks.NotDelivered, match="certificate"):
            webhooks.post(url, {}, secret=SECRET, delivery="1")
        assert hook.got == []
        monkeypatch.setenv("SSL_CERT_FILE", certificate[0])
        webhooks.post(url, {}, secret=SECRET, delivery="2")
        assert hook.got[0][0]["Host"] == f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()


# Nobody holds up anybody else, and nobody asks for too much ----------------------------------------------------------------------------------


def test_a_slow_webhook_holds_up_nobody_elses(alert, hook, settings, other_team, monkeypatch):
    """Twenty channels of another team, all due before ours, all at a server that answers nothing: ours arrives while they wait."""
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1", "slow.example"]
    for number in range(20):
        theirs = channels.create(other_team, name=f"{number}", kind=Channel.Kind.WEBHOOK, target=f"https://slow.example/{number}")
        Delivery.objects.create(channel=theirs, event=Delivery.Event.OPENED, body={}, next_at=timezone.now() - timedelta(hours=1))
    ours_arrived, real = threading.Event(), webhooks.asked

    def asked(parts: Any, *args: Any, within_s: float) -> int:
        if parts.hostname == "slow.example":
            said = "after" if ours_arrived.wait(20) else "before"
            raise webhooks.NotDelivered(f"given up {said} ours arrived")
        status = real(parts, *args, within_s=within_s)
        ours_arrived.set()
        return status

    monkeypatch.setattr(webhooks, "asked", asked)
    monkeypatch.setattr(turns, "QUICK_S", -10.0)  # each of theirs counts as ten seconds
    assert deliver_due() == 1
    tried = Delivery.objects.filter(channel__team=other_team, attempts=1)
    assert set(tried.values_list("last_error", flat=True)) == {"given up after ours arrived"}
    assert 2 <= tried.count() <= 4  # the rest of theirs waits for the next run


def test_a_team_has_no_more_channels_than_it_may(team, other_team, hook):
    for number in range(allowance.CHANNELS):
        channels.create(team, name=f"{number}", kind=Channel.Kind.EMAIL)
    with pytest.raises(Invalid, match="20 channels already") as refused:
        channels.create(team, name="one more", kind=Channel.Kind.EMAIL)
    assert refused.value.faults[0].code == "too_many"
    assert Channel.objects.filter(team=team).count() == allowance.CHANNELS
    channels.create(other_team, name="theirs", kind=Channel.Kind.EMAIL)
    channels.change(Channel.objects.filter(team=team).first(), name="another name")


def test_a_channel_is_tested_a_few_times_a_minute(channel, hook):
    at = timezone.now()
    for _ in range(allowance.CHANNEL_TESTS):
        outbox.send_test(channel, at=at)
    with pytest.raises(TooManyRequests, match="3 times a minute") as refused:
        outbox.send_test(channel, at=at)
    assert refused.value.retry_after_s == 60
    assert len(hook.got) == allowance.CHANNEL_TESTS
    outbox.send_test(channel, at=at + timedelta(minutes=2))


def test_a_team_has_few_tests_a_minute_even_if_it_deletes_what_it_tested(team, other_team, hook):
    at = timezone.now()
    for _ in range(allowance.TEAM_TESTS):
        one = channels.create(team, name="x", kind=Channel.Kind.WEBHOOK, target=hook.url)
        outbox.send_test(one, at=at)
        channels.delete(one)
    one = channels.create(team, name="x", kind=Channel.Kind.WEBHOOK, target=hook.url)
    with pytest.raises(TooManyRequests):
        outbox.send_test(one, at=at)
    outbox.send_test(channels.create(other_team, name="theirs", kind=Channel.Kind.WEBHOOK, target=hook.url), at=at)


def test_few_tests_are_sent_at_once(channel, hook):
    for _ in range(allowance.TESTS_AT_ONCE):
        assert allowance.slots.acquire(blocking=False)
    try:
        with pytest.raises(TooManyRequests, match="Other tests are under way"):
            outbox.send_test(channel)
    finally:
        for _ in range(allowance.TESTS_AT_ONCE):
            allowance.slots.release()
    assert hook.got == []


def test_a_run_sends_so_many_messages_of_one_channel_and_of_one_team(team, other_team, hook, monkeypatch):
    monkeypatch.setattr(outbox, "CHANNEL_MOST", 3)
    monkeypatch.setattr(outbox, "TEAM_MOST", 5)
    mine = [channels.create(team, name=name, kind=Channel.Kind.WEBHOOK, target=hook.url) for name in "abc"]
    theirs = channels.create(other_team, name="theirs", kind=Channel.Kind.WEBHOOK, target=hook.url)
    for channel, number in [(mine[0], 10), (mine[1], 2), (mine[2], 2), (theirs, 4)]:
        Delivery.objects.bulk_create([Delivery(channel=channel, event=Delivery.Event.OPENED, body={}) for _ in range(number)])
    at = timezone.now()
    assert deliver_due(at=at) == 5 + 3
    done = Delivery.objects.filter(state=Delivery.State.DONE)
    assert sorted(done.filter(channel=each).count() for each in mine) == [1, 2, 2]
    assert done.filter(channel=theirs).count() == 3
    assert deliver_due(at=at) == 3 + 1 + 1


# E-mail ------------------------------------------------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    port: int = 0
    messages: list[str] = field(default_factory=list)
    to: list[str] = field(default_factory=list)


def mail_handler(box: Mailbox) -> type[socketserver.StreamRequestHandler]:
    """A mail server that speaks enough of SMTP to take one message after another."""

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.say("354 go on")
                    box.messages.append(self.message())
                elif verb == b"RCPT":
                    box.to.append(line.decode().strip())
                elif verb == b"QUIT":
                    self.say("221 bye")
                    return
                self.say("250 fine")

        def message(self) -> str:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.decode())
            return "".join(lines)

    return Handler


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    box = Mailbox()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), mail_handler(box))
    server.daemon_threads = True
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    settings.EMAIL_URL = f"smtp://127.0.0.1:{box.port}"
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", box.port
    yield box
    server.shutdown()
    thread.join(timeout=10)
    server.server_close()


def opened(experiment: Any, **channel: Any) -> None:
    channels.create(experiment.project.team, name="mail", kind=Channel.Kind.EMAIL, **channel)
    alerts.open_alert(kind=Kind.DIVERGED, severity=Severity.HIGH, experiment=experiment, message="loss lost what it had gained.")


def test_an_e_mail_goes_to_the_teams_admins(mailbox, experiment, alice, erin):
    opened(experiment)
    assert deliver_due() == 1
    assert [line.split(":")[1] for line in mailbox.to] == ["<alice@example.com>"]
    assert "Subject: [Research Platform] Diverged: digits / baseline" in mailbox.messages[0]
    assert f"X-Delivery: {Delivery.objects.get().pk}" in mailbox.messages[0]
    assert "loss lost what it had gained." in mailbox.messages[0]


def test_an_e_mail_goes_to_the_channels_own_address_where_it_has_one(mailbox, experiment, alice):
    opened(experiment, target="ops@example.com")
    deliver_due()
    assert [line.split(":")[1] for line in mailbox.to] == ["<ops@example.com>"]


def test_alerts_of_the_server_go_to_operators(mailbox, alice):
    User.objects.create_superuser("root", email="root@example.com")
    channels.create(None, name="operators", kind=Channel.Kind.EMAIL)
    alerts.open_alert(kind=Kind.DISK, severity=Severity.HIGH, part="disk of web1", message="3 GB are free.")
    assert deliver_due() == 1
    assert [line.split(":")[1] for line in mailbox.to] == ["<root@example.com>"]


@pytest.mark.parametrize(("given", "said"), [({"EMAIL_URL": ""}, "give EMAIL_URL"), ({"EMAIL_PORT": 1}, "did not take it")])
def test_mail_that_cannot_be_sent_says_why_and_waits(mailbox, experiment, alice, settings, given, said):
    for name, value in given.items():
        setattr(settings, name, value)
    opened(experiment)
    assert deliver_due() == 0
    assert said in Delivery.objects.get().last_error
    assert Delivery.objects.get().state == Delivery.State.WAITING


def test_nobody_to_write_to_is_said(mailbox, experiment):
    opened(experiment)
    assert deliver_due() == 0
    assert "Nobody to write to" in Delivery.objects.get().last_error


@pytest.mark.parametrize("target", ["not an address", "a@b\nBcc: c@d", "@"])
def test_what_is_no_mail_address_is_refused(team, target):
    with pytest.raises(Invalid):
        channels.create(team, name="x", kind=Channel.Kind.EMAIL, target=target)
