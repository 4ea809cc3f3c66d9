"""What the operator chooses for a pool of files: codings, headers, pages, lists, links."""

import gzip
import os
import subprocess
import threading

import pytest

import harness
from client import Connection, get


def ask(daemon, target, *headers, method="GET"):
    with Connection(daemon.address()) as connection:
        answer = connection.get(target, headers=list(headers), method=method)
        assert connection.get("/a.txt").status in (200, 404), "the connection is in step"
        return answer


def start(session, **static):
    return session.start(session.pool(workers=1, static={"root": session.site, **static}))


# ------------------------------------------------------------------------------------------------- compressed siblings


@pytest.fixture
def compressed(session):
    text = b"body { color: red }\n" * 100
    (session.site / "x.css").write_bytes(text)
    (session.site / "x.css.gz").write_bytes(gzip.compress(text))
    (session.site / "x.css.br").write_bytes(b"brotli")
    (session.site / "x.css.zst").write_bytes(b"zstandard")
    return text


@pytest.mark.parametrize("accept, coding", [
    (None, None), ("", None), ("gzip", "gzip"), ("gzip, deflate, br, zstd", "br"), ("deflate", None), ("*", "br"),
    ("gzip;q=1, br;q=0.9", "gzip"), ("br;q=0, *", "zstd"), ("gzip;q=0", None), ("identity, gzip;q=0.9", None),
    ("identity;q=0, gzip", "gzip"), ("GZIP", "gzip"), ("x-gzip", "gzip"), ("gzip;q=x", None),
])
def test_a_sibling_is_chosen_by_accept_encoding(session, compressed, accept, coding):
    daemon = start(session, precompressed=["br", "zstd", "gzip"])
    answer = ask(daemon, "/x.css", *([] if accept is None else [f"Accept-Encoding: {accept}"]))
    assert answer.status == 200
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"].startswith("text/css")
    assert {None: answer.body == compressed, "br": answer.body == b"brotli", "zstd": answer.body == b"zstandard",
            "gzip": answer.body[:2] == b"\x1f\x8b"}[coding]


@pytest.mark.parametrize("accept", ["identity;q=0", "*;q=0", "identity;q=0, deflate"])
def test_who_refuses_all_there_is_gets_406(session, compressed, accept):
    daemon = start(session, precompressed=["gzip"])
    answer = ask(daemon, "/x.css", f"Accept-Encoding: {accept}")
    assert answer.status == 406 and answer.headers["vary"] == "Accept-Encoding"


def test_curl_unpacks_what_it_asked_for(session, compressed):
    daemon = start(session, precompressed=["gzip"])
    host, port = daemon.address()
    done = subprocess.run(["curl", "-sS", "--fail", "-H", "Accept-Encoding: gzip", "--compressed",
                           f"http://{host}:{port}/x.css"], check=True, stdout=subprocess.PIPE, timeout=harness.LIMIT)
    assert done.stdout == compressed


def test_each_coding_has_its_own_tag_and_its_own_ranges(session, compressed):
    daemon = start(session, precompressed=["gzip"])
    plain, packed = ask(daemon, "/x.css"), ask(daemon, "/x.css", "Accept-Encoding: gzip")
    assert plain.headers["etag"] != packed.headers["etag"]
    both = "Accept-Encoding: gzip", f"If-None-Match: {packed.headers['etag']}"
    answer = ask(daemon, "/x.css", *both)
    assert answer.status == 304 and answer.headers["vary"] == "Accept-Encoding"
    assert ask(daemon, "/x.css", *both[1:]).status == 200
    part = ask(daemon, "/x.css", "Accept-Encoding: gzip", "Range: bytes=2-5")
    assert part.status == 206 and part.body == packed.body[2:6] and part.headers["content-encoding"] == "gzip"
    assert part.headers["content-range"] == f"bytes 2-5/{len(packed.body)}"


def test_a_sibling_that_is_too_old_unreadable_or_out_of_bounds_is_not_served(session, compressed):
    now = os.stat(session.site / "x.css").st_mtime
    os.utime(session.site / "x.css.gz", (now, now - 10))
    (session.site / "x.css.br").unlink()
    (session.folder / "secret.br").write_text("secret")
    (session.site / "x.css.br").symlink_to("../secret.br")
    (session.site / "x.css.zst").unlink()
    (session.site / "x.css.zst").mkdir()
    daemon = start(session, precompressed=["br", "zstd", "gzip"])
    answer = ask(daemon, "/x.css", "Accept-Encoding: br, zstd, gzip")
    assert answer.body == compressed and "content-encoding" not in answer.headers


def test_a_sibling_that_comes_and_goes_is_noticed(session, compressed):
    daemon = start(session, precompressed=["gzip"])
    (session.site / "x.css.gz").unlink()
    assert "content-encoding" not in ask(daemon, "/x.css", "Accept-Encoding: gzip").headers
    (session.site / "x.css.gz").write_bytes(gzip.compress(b"x"))
    harness.wait_until(lambda: ask(daemon, "/x.css", "Accept-Encoding: gzip").headers.get("content-encoding") == "gzip",
                       "the sibling")


def test_without_the_key_siblings_are_files_like_others(session, compressed):
    daemon = start(session)
    answer = ask(daemon, "/x.css", "Accept-Encoding: gzip")
    assert answer.body == compressed and "vary" not in answer.headers
    assert ask(daemon, "/x.css.gz").headers["content-type"] == "application/gzip"


# ------------------------------------------------------------------------------------------------------ headers, pages


def test_types_come_from_the_file_of_types(session):
    (session.folder / "types").write_text("text/x-mine mine MINE2\napplication/javascript js\n# text/x-no css\n")
    for name in ("a.mine", "b.mine2", "c.js", "d.css", "e.none"):
        (session.site / name).write_text("x")
    daemon = start(session, mime_types=session.folder / "types", default_type="application/x-default")
    types = {name: ask(daemon, "/" + name).headers["content-type"] for name in ("a.mine", "b.mine2", "c.js", "d.css",
                                                                               "e.none")}
    assert types == {"a.mine": "text/x-mine; charset=utf-8", "b.mine2": "text/x-mine; charset=utf-8",
                     "c.js": "text/javascript; charset=utf-8", "d.css": "text/css; charset=utf-8",
                     "e.none": "application/x-default"}


def test_cache_control_goes_by_pattern(session):
    (session.site / "assets").mkdir()
    for name in ("assets/x.css", "x.css", "x.txt"):
        (session.site / name).write_text("x")
    daemon = start(session, cache_control={'"/assets/*"': "max-age=31536000, immutable", '"*.css"': "max-age=3600",
                                           '"index.*"': "no-cache"})
    for target, value in (("/assets/x.css", "max-age=31536000, immutable"), ("/x.css", "max-age=3600"),
                          ("/", "no-cache"), ("/x.txt", None)):
        answer = ask(daemon, target)
        assert answer.headers.get("cache-control") == value
        again = ask(daemon, target, f"If-None-Match: {answer.headers['etag']}")
        assert again.status == 304 and again.headers.get("cache-control") == value


def test_error_pages(session):
    (session.site / "errors").mkdir()
    (session.site / "errors" / "404.html").write_text("<p>not here</p>\n")
    (session.site / "errors" / "4xx.html").write_text("<p>your fault</p>\n")
    daemon = start(session, error_pages={"404": "errors/404.html", "4xx": "errors/4xx.html",
                                         "403": "errors/none.html"})
    missing = ask(daemon, "/none")
    assert missing.status == 404 and missing.body == b"<p>not here</p>\n"
    assert missing.headers["content-type"] == "text/html; charset=utf-8" and "etag" not in missing.headers
    assert ask(daemon, "/none", "Range: bytes=0-1", 'If-None-Match: *').body == b"<p>not here</p>\n"
    assert ask(daemon, "/none", method="HEAD").headers["content-length"] == "16"
    answer = ask(daemon, "/a.txt", method="DELETE")
    assert answer.status == 405 and answer.body == b"<p>your fault</p>\n" and "GET" in answer.headers["allow"]
    answer = ask(daemon, "/a.txt", "Range: bytes=100-")
    assert answer.status == 416 and answer.body == b"<p>your fault</p>\n"
    assert answer.headers["content-range"] == "bytes */13"
    answer = ask(daemon, "/errors/")
    assert answer.status == 403 and b"403 Forbidden" in answer.body, "a page that is not there is no second error"


def test_a_fallback_serves_what_is_not_there(session):
    daemon = start(session, fallback="index.html")
    for target in ("/app/route", "/none", "/none/", "/a.txt/x", "/a%2Fb"):
        answer = ask(daemon, target)
        assert answer.status == 200 and answer.body == b"<h1>index</h1>\n", target
        assert answer.headers["content-type"].startswith("text/html")
    (session.site / "empty").mkdir()
    (session.site / "out").symlink_to("/etc/passwd")
    for target, status in (("/a.txt", 200), ("/empty/", 403), ("/.git/config", 404), ("/out", 404), ("/%zz", 400)):
        assert ask(daemon, target).status == status, target
    assert ask(daemon, "/none", method="HEAD").headers["content-length"] == "15"
    assert ask(daemon, "/none", method="POST").status == 405


def test_options_says_what_is_allowed(session):
    daemon = start(session)
    for target in ("/a.txt", "/none", "*"):
        answer = ask(daemon, target, method="OPTIONS")
        assert answer.status in (200, 204) and answer.body == b""
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


# -------------------------------------------------------------------------------------------------------------- lists


def test_a_directory_is_listed(session):
    folder = session.site / "list me"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.txt", "a & <b>.txt", "ü.txt", "100%.txt", ".hidden"):
        (folder / name).write_text("12345")
    (folder / "out").symlink_to("/etc/passwd")
    os.mkfifo(folder / "fifo")
    daemon = start(session, listing=True)
    answer = ask(daemon, "/list%20me/")
    page = answer.body.decode()
    assert answer.status == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    links = [part.partition('"')[0] for part in page.split('<a href="')[1:]]
    assert links == ["../", "sub/", "100%25.txt", "a%20%26%20%3Cb%3E.txt", "b.txt", "%C3%BC.txt"]
    assert "Index of /list me/" in page and "a &amp; &lt;b&gt;.txt" in page and "<b>.txt" not in page
    for link in links[1:]:
        assert ask(daemon, "/list%20me/" + link).status == 200
    head = ask(daemon, "/list%20me/", method="HEAD")
    assert head.status == 200 and head.headers["content-length"] == str(len(answer.body)) and head.body == b""
    assert ask(daemon, "/list%20me").headers["location"] == "/list%20me/"
    assert ask(daemon, "/").body == b"<h1>index</h1>\n", "a directory with an index is not listed"


def test_a_directory_of_very_many_files_is_cut_with_a_word(session):
    folder = session.site / "many"
    folder.mkdir()
    for number in range(1100):
        (folder / f"{number}").touch()
    daemon = start(session, listing=True)
    page = ask(daemon, "/many/").body.decode()
    assert page.count("<a href=") == 1001 and "more than the 1000 shown" in page


def test_the_root_has_no_way_up(session):
    (session.site / "index.html").unlink()
    daemon = start(session, listing=True)
    page = ask(daemon, "/").body.decode()
    assert "../" not in page and "a.txt" in page


# -------------------------------------------------------------------------------------------------------------- links


@pytest.fixture
def linked(session):
    site = session.site
    (site / "sub").mkdir()
    (site / "sub" / "b.txt").write_text("b text\n")
    (session.folder / "secret.txt").write_text("secret\n")
    (session.folder / "beside").mkdir()
    (session.folder / "beside" / "secret.txt").write_text("secret\n")
    (site / "relative").symlink_to("sub")
    (site / "absolute").symlink_to(site / "sub")
    (site / "chain").symlink_to("absolute/b.txt")
    (site / "through").symlink_to("../site/sub/b.txt")
    (site / "out").symlink_to("../secret.txt")
    (site / "out-absolute").symlink_to(session.folder / "secret.txt")
    (site / "outdir").symlink_to("../beside")
    (site / "sub" / "up").symlink_to("../..")
    (site / "loop").symlink_to("loop")
    (site / "dangling").symlink_to("none")
    (site / "proc").symlink_to("/proc/self/root")


@pytest.mark.parametrize("symlinks, inside, outside", [("never", 404, 404), ("inside", 200, 404),
                                                       ("anywhere", 200, 200)])
def test_links_are_followed_as_far_as_the_operator_wants(session, linked, symlinks, inside, outside):
    daemon = start(session, symlinks=symlinks)
    assert ask(daemon, "/sub/b.txt").status == 200
    for target in ("/relative/b.txt", "/absolute/b.txt", "/chain", "/through"):
        assert ask(daemon, target).status == inside, target
    for target in ("/out", "/out-absolute", "/outdir/secret.txt", "/sub/up/secret.txt"):
        answer = ask(daemon, target)
        assert answer.status == outside, target
        assert (b"secret" in answer.body) == (outside == 200)
    for target in ("/loop", "/dangling", "/proc/etc/passwd"):
        assert ask(daemon, target).status == 404, target
    for target in ("/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt"):
        assert ask(daemon, target).status == 400, target


@pytest.mark.parametrize("symlinks", ["never", "inside"])
def test_a_link_that_is_swapped_all_the_time_never_leads_out(session, linked, symlinks):
    """Also by the second way, on which an absolute link is followed by its name."""
    daemon = start(session, symlinks=symlinks, cache_ttl="0")
    aims = [session.site / "sub" / "b.txt", session.folder / "secret.txt", session.site / "absolute" / "b.txt",
            session.folder / "beside" / "secret.txt"]
    link, new = session.site / "swap", session.site / "swap.new"
    link.symlink_to(aims[0])
    stop, statuses = threading.Event(), set()

    def swap():
        while not stop.is_set():
            for aim in aims:
                new.symlink_to(aim)
                new.rename(link)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with Connection(daemon.address()) as connection:
            for _ in range(3000):
                answer = connection.get("/swap")
                assert b"secret" not in answer.body
                statuses.add(answer.status)
    finally:
        stop.set()
        thread.join()
    assert statuses == ({404} if symlinks == "never" else {200, 404})


@pytest.mark.parametrize("symlinks", ["never", "inside", "anywhere"])
def test_lists_show_the_links_that_are_followed(session, linked, symlinks):
    (session.site / "index.html").unlink()
    daemon = start(session, symlinks=symlinks, listing=True)
    page = ask(daemon, "/").body.decode()
    shown = [part.partition('"')[0] for part in page.split('<a href="')[1:]]
    expected = {"never": {"sub/", "a.txt"}, "inside": {"sub/", "a.txt", "relative/", "absolute/", "chain", "through"}}
    expected["anywhere"] = expected["inside"] | {"out", "out-absolute", "outdir/"}
    assert set(shown) == expected[symlinks]


# ------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.root
def test_what_the_worker_may_not_read_is_403(session):
    (session.site / "closed.txt").write_text("x")
    (session.site / "closed.txt").chmod(0o600)
    (session.site / "closed").mkdir()
    (session.site / "closed" / "x").write_text("x")
    (session.site / "closed").chmod(0o700)
    (session.site / "blind").mkdir()
    (session.site / "blind" / "index.html").write_text("seen\n")
    (session.site / "blind" / "sub").mkdir()
    (session.site / "blind").chmod(0o711)
    daemon = session.start(session.pool(workers=1, user="nobody", static={"root": session.site, "listing": True}))
    for target in ("/closed.txt", "/closed/", "/closed/x"):
        assert ask(daemon, target).status == 403, target
    assert ask(daemon, "/blind/").body == b"seen\n", "a directory need not be readable to serve its index"
    (session.site / "blind" / "index.html").unlink()
    harness.wait_until(lambda: ask(daemon, "/blind/").status == 403, "403")


def test_special_files_are_403_and_nothing_waits_for_them(session):
    os.mkfifo(session.site / "fifo")
    os.mkfifo(session.site / "index.htm")
    daemon = start(session, index=["index.htm", "index.html"])
    assert ask(daemon, "/fifo").status == 403
    assert ask(daemon, "/").body == b"<h1>index</h1>\n"


def test_a_configuration_that_cannot_be_is_refused_at_its_place(session):
    config = session.config("""[pool.a]
listen = ["127.0.0.1:0"]
[pool.a.static]
root = "/tmp"
mime_types = "/nonexistent/types"
fallback = "/etc/passwd"
precompressed = ["gz"]
cache_control = { "*" = "" }
error_pages = { "200" = "x", "404" = "../x" }
[pool.b]
listen = ["127.0.0.1:0"]
respond = { status = 204, body = "x", headers = { "Bad Name" = "x", Date = "now" } }
""")
    done = session.run("--check", "--config", config)
    assert done.returncode == 2
    for line in (5, 6, 7, 8, 9, 12):
        assert f"prongd.toml:{line}:" in done.stderr, done.stderr


def test_a_constant_answer(session):
    body = "x" * 100_000
    daemon = session.start(harness.table("pool.files", listen=["127.0.0.1:0"], workers=1,
                                         respond={"status": 503, "headers": {"Retry-After": "120"}, "body": body}))
    with Connection(daemon.address()) as connection:
        for method in ("GET", "HEAD", "POST", "DELETE"):
            answer = connection.get("/any/thing?x", method=method)
            assert answer.status == 503 and answer.headers["retry-after"] == "120"
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["content-length"] == str(len(body))
            assert answer.body == (b"" if method == "HEAD" else body.encode())
    assert get(daemon.address(), "/").status == 503


def test_a_constant_answer_without_a_body(session):
    daemon = session.start(harness.table("pool.files", listen=["127.0.0.1:0"], workers=1, respond={"status": 204}))
    with Connection(daemon.address()) as connection:
        for _ in range(3):
            answer = connection.get("/")
            assert answer.status == 204 and answer.body == b"" and "content-length" not in answer.headers
