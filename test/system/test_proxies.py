"""Clients behind proxies: whose word is taken for their address, scheme and host (`trusted_proxies`, `forwarded`)."""

import os
import shutil
import subprocess

import pytest

import harness
from client import Connection
from harness import wait_until
from test_concurrency import MODELS

SAYS = ["X-Forwarded-For: 198.51.100.1, 192.0.2.7:4711", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: shop.example", "Forwarded: for=\"[2001:db8::7]:99\";proto=https;host=other.example"]


def ask(address, headers=()):
    with Connection(address) as connection:
        return connection.get("/origin", headers=headers).body


def origin(address, headers=()):
    """(client, port, scheme, host, peer) as the application sees them."""
    client, port, scheme, host, peer, _ = ask(address, headers).decode().split(" ")
    return client, int(port), scheme, host, peer


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_trusted_proxy_is_believed(session, concurrency):
    daemon = session.start_trial(concurrency, trusted_proxies=["127.0.0.0/8"])
    address = daemon.address("trial")
    assert origin(address, SAYS) == ("192.0.2.7", 4711, "https", "shop.example", "127.0.0.1")
    with Connection(address) as connection:  # one request says nothing of the next one
        for _ in range(2):
            assert connection.get("/origin", headers=SAYS).body.startswith(b"192.0.2.7 4711 https shop.example ")
            own = connection.socket.getsockname()[1]
            assert connection.get("/origin").body == \
                b"127.0.0.1 %d http test 127.0.0.1 %d" % (own, address[1])


def test_nobody_else_is(session):
    daemon = session.start_trial("event", trusted_proxies=["10.0.0.0/8", "127.0.0.2", "unix", "::1"])
    client, _, *rest = origin(daemon.address("trial"), SAYS)
    assert (client, *rest) == ("127.0.0.1", "http", "test", "127.0.0.1")
    daemon.stop()
    client, _, *rest = origin(session.start_trial("event").address("trial"), SAYS)
    assert (client, *rest) == ("127.0.0.1", "http", "test", "127.0.0.1")


def test_forwarded_is_believed_in_place_of_the_others_when_it_is_said(session):
    daemon = session.start_trial("thread", trusted_proxies=["127.0.0.1"], forwarded="forwarded")
    assert origin(daemon.address("trial"), SAYS) == ("2001:db8::7", 99, "https", "other.example", "127.0.0.1")


def test_proxies_on_unix_sockets_and_ipv6(session):
    path = session.folder / "trial.sock"
    daemon = session.start_trial("event", listen=[f"unix:{path}"], trusted_proxies=["unix"])
    assert ask(str(path), SAYS).startswith(b"192.0.2.7 4711 https shop.example  0")
    assert ask(str(path)).startswith(b" 0 http test  0")
    daemon.stop()
    daemon = session.start_trial("event", listen=[{"address": "[::]:0", "v6only": False}],
                                 trusted_proxies=["127.0.0.1"])
    port = daemon.address("trial")[1]
    assert origin(("127.0.0.1", port), SAYS)[:2] == ("192.0.2.7", 4711)  # its peer is ::ffff:127.0.0.1
    assert origin(("::1", port), SAYS)[0] == "::1"


def test_the_access_log_has_the_client_that_is_believed_and_the_peer(session):
    log = session.folder / "access.log"
    daemon = session.start(session.pool(
        trusted_proxies=["127.0.0.1"],
        access_log={"path": str(log), "format": "{client} {client_port} {peer} {scheme} {host} {status}"}))
    with Connection(daemon.address()) as connection:
        connection.get("/a.txt", headers=SAYS)
        connection.get("/a.txt", headers=["X-Forwarded-For: unknown"])
        connection.get("/a.txt", headers=["X-Forwarded-For: 2001:db8::7"])
        own = connection.socket.getsockname()[1]
        connection.send(b"no HTTP\r\n\r\n")
        connection.response()
    daemon.stop()
    assert log.read_text().splitlines() == [
        "192.0.2.7 4711 127.0.0.1 https shop.example 200", f"127.0.0.1 {own} 127.0.0.1 http test 200",
        "2001:db8::7 - 127.0.0.1 http test 200", f"127.0.0.1 {own} 127.0.0.1 http - 400"]


def test_a_reload_changes_who_is_believed(session):
    def config(proxies):
        return harness.table("pool.trial", listen=["127.0.0.1:0"], workers=1, respond={"body": "x"},
                             trusted_proxies=proxies)

    daemon = session.start(config(["127.0.0.1"]), program=harness.TRIAL)
    assert origin(daemon.address("trial"), SAYS)[0] == "192.0.2.7"
    lines = daemon.reload_fails(config(["localhost"]))
    assert any('trusted_proxies: "localhost" is no IP address and no network' in line for line in lines)
    assert origin(daemon.address("trial"), SAYS)[0] == "192.0.2.7"
    daemon.reload(config(["127.0.0.2"]))
    assert origin(daemon.address("trial"), SAYS)[0] == "127.0.0.1"


@pytest.mark.skipif(shutil.which("nginx") is None, reason="no nginx on this machine")
def test_behind_a_real_nginx(session):
    """What it adds is believed; what its client forges is not."""
    backend = session.folder / "trial.sock"
    session.start_trial("thread", listen=[f"unix:{backend}"], trusted_proxies=["unix"])
    front = session.folder / "nginx.sock"
    conf = session.folder / "nginx.conf"
    conf.write_text(f"""
daemon off; master_process off; pid {session.folder}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {session.folder}/body; proxy_temp_path {session.folder}/proxy;
  fastcgi_temp_path {session.folder}/f; uwsgi_temp_path {session.folder}/u; scgi_temp_path {session.folder}/s;
  set_real_ip_from unix:; real_ip_header X-Test-Client;
  server {{
    listen unix:{front};
    location / {{
      proxy_pass http://unix:{backend};
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
""")
    nginx = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(session.folder)], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(front) and nginx.poll() is None, "nginx listens")
        for forged in ("10.1.1.1", "unknown", "junk, ", '"'):
            answer = ask(str(front), [f"X-Forwarded-For: {forged}", "X-Forwarded-Proto: http",
                                      "X-Test-Client: 192.0.2.7"])
            assert answer.startswith(b"192.0.2.7 0 https test  0"), answer
    finally:
        nginx.terminate()
        nginx.wait()
