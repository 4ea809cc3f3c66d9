"""Flask and Django from Debian's packages on the workers, used as people use them: by a client with cookies that follows
links and redirects. The applications are wsgi/flask_shop.py and wsgi/library."""

import hashlib
import http.cookiejar
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

import test_wsgi
from harness import LIMIT
from test_wsgi import APPLICATIONS, MODELS, PYTHON, start

pytestmark = test_wsgi.pytestmark


def require(module):
    """The folder of a module of Debian's Python, where the package is installed."""
    found = subprocess.run([PYTHON, "-c", f"import {module}; print({module}.__file__)"], capture_output=True, text=True,
                           check=False)
    if found.returncode != 0:
        pytest.skip(f"{PYTHON} has no {module} (python3-{module})")
    return Path(found.stdout.strip()).parent


class Page:
    def __init__(self, answer):
        self.status, self.url, self.headers, self.body = answer.status, answer.url, answer.headers, answer.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Browser:
    """Keeps cookies and follows redirects; an error status is a page too."""

    def __init__(self, address):
        self.base = f"http://127.0.0.1:{address[1]}"
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                                   urllib.request.HTTPCookieProcessor(self.cookies))

    def _open(self, request):
        try:
            with self._opener.open(request, timeout=LIMIT) as answer:
                return Page(answer)
        except urllib.error.HTTPError as answer:
            with answer:
                return Page(answer)

    def get(self, target):
        return self._open(urllib.request.Request(self.base + target))

    def post(self, target, fields):
        return self._open(urllib.request.Request(self.base + target, urllib.parse.urlencode(fields, doseq=True).encode()))

    def upload(self, target, fields, files):
        """multipart/form-data (RFC 7578); `files` is {field: (name, type, content)}."""
        boundary, parts = "a-boundary-of-tests", []
        for name, value in fields.items():
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for name, (file, kind, content) in files.items():
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
                         f"Content-Type: {kind}\r\n\r\n".encode() + content + b"\r\n")
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return self._open(urllib.request.Request(self.base + target, body,
                                                 {"Content-Type": f"multipart/form-data; boundary={boundary}"}))


@pytest.mark.parametrize("concurrency", MODELS)
def test_a_flask_application_works(session, concurrency):
    require("flask")
    _, address = start(session, concurrency, app="flask_shop", workers=2,
                       more='http = { max_body = "8MiB", body_buffer = "64KiB" }\n')
    browser = Browser(address)
    front = browser.get("/")
    assert front.text == "<ul><li>&lt;one&gt;</li><li>two</li></ul><a href='/hello/Zo%C3%AB'>me</a>"
    assert front.headers["Content-Type"] == "text/html; charset=utf-8"
    assert browser.get("/hello/Zo%C3%AB").text == "hello Zo\xeb"
    assert browser.post("/form?page=3", {"name": "A & B", "tag": ["x", "\u20ac"]}).json() == {
        "name": "A & B", "tags": ["x", "\u20ac"], "query": 3}
    content = os.urandom(3 << 20)
    assert browser.upload("/upload", {"note": "big"}, {"file": ("a.bin", "application/x-test", content)}).json() == {
        "name": "a.bin", "type": "application/x-test", "sha256": hashlib.sha256(content).hexdigest(), "note": "big"}
    assert browser.get("/stream").body == b"".join(b"%d\n" % number * 100 for number in range(1000))
    assert browser.get("/file").body == (APPLICATIONS / "flask_shop.py").read_bytes()
    assert [browser.get("/count").text for _ in range(3)] == ["1", "2", "3"]
    assert Browser(address).get("/count").text == "1"
    left = browser.get("/leave")
    assert left.url.endswith("/count") and left.text == "1"
    style = browser.get("/static/style.css")
    assert style.body == (APPLICATIONS / "flask_static/style.css").read_bytes()
    assert style.headers["Content-Type"].startswith("text/css")


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_error_pages_of_flask_arrive_and_its_traceback_is_in_the_log(session, concurrency):
    require("flask")
    daemon, address = start(session, concurrency, app="flask_shop")
    browser = Browser(address)
    missing = browser.get("/no/such/page")
    assert (missing.status, missing.text) == (404, "<h1>nothing here</h1>")
    wrong = browser.post("/form", {"other": "x"})
    assert wrong.status == 400
    assert browser.get("/form").status == 405
    failed = browser.get("/fails")
    assert failed.status == 500 and "Internal Server Error" in failed.text
    daemon.wait("output: KeyError: 'asked for'")
    assert browser.get("/hello/again").text == "hello again"


def token_of(page):
    return re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]


@pytest.fixture
def library(session):
    """A database with the user `admin`; returns the keys of the pool."""
    django = require("django")
    environment = {"DJANGO_SETTINGS_MODULE": "library.settings", "LIBRARY_FOLDER": str(session.folder)}
    (session.folder / "media").mkdir()
    subprocess.run([PYTHON, "-c", """
import django
django.setup()
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from django.contrib.auth.models import User
User.objects.create_superuser("admin", "admin@example.org", "a password")
"""], check=True, env=os.environ | environment | {"PYTHONPATH": str(APPLICATIONS), "PYTHONDONTWRITEBYTECODE": "1"})
    folders = {"/static/": django / "contrib/admin/static", "/media/": session.folder / "media"}
    listed = ", ".join(f'"{prefix}" = "{folder}"' for prefix, folder in folders.items())
    return {"app": "library.wsgi:application", "env": environment, "workers": 2, "more": f"static_map = {{ {listed} }}\n"}


@pytest.mark.parametrize("concurrency", MODELS)
def test_the_admin_of_django_works(session, library, concurrency):
    _, address = start(session, concurrency, **library)
    browser = Browser(address)
    login = browser.get("/admin/")
    assert "/admin/login/" in login.url
    for style in re.findall(r'href="(/static/[^"]+\.css)"', login.text):
        assert browser.get(style).headers["Content-Type"].startswith("text/css")

    fields = {"csrfmiddlewaretoken": token_of(login), "username": "admin", "next": "/admin/"}
    assert "correct username and password" in browser.post("/admin/login/", fields | {"password": "wrong"}).text.replace(
        "\n", " ")
    assert browser.post("/admin/login/", fields | {"csrfmiddlewaretoken": "x", "password": "a password"}).status == 403
    inside = browser.post("/admin/login/", fields | {"password": "a password"})
    assert inside.url.endswith("/admin/") and "Site administration" in inside.text

    form = browser.get("/admin/library/book/add/")
    content = b"".join(b"line %d\n" % number for number in range(20_000))
    added = browser.upload("/admin/library/book/add/", {"csrfmiddlewaretoken": token_of(form), "title": "Prongs & forks",
                                                        "pages": "12"}, {"text": ("a.txt", "text/plain", content)})
    assert added.url.endswith("/admin/library/book/") and "was added successfully" in added.text
    key = re.search(r"/admin/library/book/(\d+)/change/", added.text)[1]
    change = browser.get(f"/admin/library/book/{key}/change/")
    media = re.search(r'href="(/media/[^"]+)"', change.text)[1]
    assert browser.get(media).body == content

    changed = browser.upload(f"/admin/library/book/{key}/change/", {
        "csrfmiddlewaretoken": token_of(change), "title": "Prongs", "pages": "13"}, {})
    assert "was changed successfully" in changed.text
    assert browser.get("/titles").text == "Prongs: 13\n"
    invalid = browser.upload(f"/admin/library/book/{key}/change/", {
        "csrfmiddlewaretoken": token_of(change), "title": "", "pages": "many"}, {})
    assert invalid.status == 200 and "Please correct the errors below" in invalid.text
    assert browser.get("/address").text == f"{browser.base}/x?y=1"
    assert browser.get("/no/such/page").status == 404

    gone = browser.post("/admin/logout/", {"csrfmiddlewaretoken": token_of(change)})
    assert "Logged out" in gone.text
    assert "/admin/login/" in browser.get(f"/admin/library/book/{key}/change/").url
