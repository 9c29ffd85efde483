"""Answers that need no function: files, directories, what is in memory, and redirects."""

import os

import pytest

import nngsock

pytest.importorskip("aiohttp")


@pytest.fixture
def site(tmp_path):
    """A directory with files, beside it what nobody may see."""
    root = tmp_path / "site"
    (root / "css").mkdir(parents=True)
    (root / "index.html").write_text("<p>home</p>")
    (root / "css" / "x.css").write_text("p {}")
    (root / "css" / "index.html").write_text("<p>css</p>")
    (root / "empty").mkdir()
    (root / "ä b.txt").write_text("umlaut")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site-2").mkdir()
    (tmp_path / "site-2" / "secret.txt").write_text("secret")
    return root


class TestFile:
    def test_its_name_tells_the_content_type(self, serve, site):
        server = serve(nngsock.handler_file("/style", site / "css" / "x.css"))
        result = nngsock.ncurl(server.url + "/style", response=["content-type", "content-length"])
        assert result == (200, {"content-type": "text/css", "content-length": "4"}, "p {}")

    def test_with_prefix_it_is_for_all_below(self, serve, site):
        server = serve(nngsock.handler_file("/app", str(site / "index.html"), prefix=True))
        assert nngsock.ncurl(server.url + "/app/any/where").data == "<p>home</p>"

    def test_it_is_read_anew_each_time(self, serve, site):
        file = site / "index.html"
        server = serve(nngsock.handler_file("/", file))
        assert nngsock.ncurl(server.url).data == "<p>home</p>"
        file.write_text("new")
        assert nngsock.ncurl(server.url).data == "new"
        file.unlink()
        assert nngsock.ncurl(server.url).status == 404

    def test_one_that_is_missing_is_warned_of_and_may_come_later(self, serve, tmp_path):
        with pytest.warns(nngsock.NngWarning, match="`file` does not exist"):
            late = nngsock.handler_file("/", tmp_path / "late.txt")
        server = serve(late)
        assert nngsock.ncurl(server.url).status == 404
        (tmp_path / "late.txt").write_text("here")
        assert nngsock.ncurl(server.url).data == "here"

    def test_part_of_it_can_be_asked_for_and_whether_it_has_changed(self, serve, site):
        server = serve(nngsock.handler_file("/", site / "index.html"))
        part = nngsock.ncurl(server.url, headers={"Range": "bytes=3-6"}, response=["content-range"])
        assert part == (206, {"content-range": "bytes 3-6/11"}, "home")
        mark = nngsock.ncurl(server.url, response=["etag"]).headers["etag"]
        assert nngsock.ncurl(server.url, headers={"If-None-Match": mark}).status == 304

    def test_a_large_one_comes_whole(self, serve, tmp_path):
        file = tmp_path / "large.bin"
        file.write_bytes(os.urandom(1024) * (20 * 1024))
        server = serve(nngsock.handler_file("/", file))
        assert nngsock.ncurl(server.url, convert=False).data == file.read_bytes()


class TestDirectory:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/s/", "<p>home</p>"),
            ("/s", "<p>home</p>"),
            ("/s/index.html", "<p>home</p>"),
            ("/s/css/x.css", "p {}"),
            ("/s/css/", "<p>css</p>"),
            ("/s/%C3%A4%20b.txt", "umlaut"),
            ("/s/css/x.css?v=1", "p {}"),
        ],
    )
    def test_the_path_below_is_the_files(self, serve, site, path, body):
        server = serve(nngsock.handler_directory("/s", site))
        assert nngsock.ncurl(server.url + path)[::2] == (200, body)

    def test_it_may_be_at_the_root(self, serve, site):
        server = serve(nngsock.handler_directory("/", site))
        assert nngsock.ncurl(server.url).data == "<p>home</p>"
        assert nngsock.ncurl(server.url + "/css/x.css").data == "p {}"

    @pytest.mark.parametrize("path", ["/s/none", "/s/empty/", "/s/css/x.css/y", "/s/a%00b", "/sx"])
    def test_what_is_not_there_is_404(self, serve, site, path):
        server = serve(nngsock.handler_directory("/s", site))
        assert nngsock.ncurl(server.url + path).status == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/s/../secret.txt", "/s/%2e%2e/secret.txt", "/s/..%2fsecret.txt", "/s/css/../../secret.txt",
            "/s/../site-2/secret.txt", "/s//{secret}", "/s/%2f{secret}", "/s/..\\secret.txt",
            "/s/.%2e/secret.txt", "/s/%252e%252e/secret.txt", "/../secret.txt", "/s/link.txt",
            "/s/linked/secret.txt", "/s/out/",
        ],
    )  # fmt: skip
    def test_nothing_outside_is_given(self, serve, say, site, path):
        (site / "link.txt").symlink_to(site.parent / "secret.txt")
        (site / "linked").symlink_to(site.parent)
        (site / "out").mkdir()
        (site / "out" / "index.html").symlink_to(site.parent / "secret.txt")
        server = serve(nngsock.handler_directory("/s", site))
        path = path.format(secret=site.parent / "secret.txt")
        answer = say(server, f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.0 404")
        assert b"\r\n\r\nsecret" not in answer

    def test_links_within_it_are_followed(self, serve, site):
        (site / "alias").symlink_to("css")
        server = serve(nngsock.handler_directory("/s", site))
        assert nngsock.ncurl(server.url + "/s/alias/x.css").data == "p {}"

    def test_it_may_itself_be_a_link(self, serve, site, tmp_path):
        (tmp_path / "current").symlink_to(site)
        server = serve(nngsock.handler_directory("/s", tmp_path / "current"))
        assert nngsock.ncurl(server.url + "/s/css/x.css").data == "p {}"

    def test_a_compressed_copy_outside_is_not_given_either(self, serve, site):
        (site.parent / "secret.gz").write_bytes(b"secret")
        (site / "index.html.gz").symlink_to(site.parent / "secret.gz")
        server = serve(nngsock.handler_directory("/s", site))
        assert nngsock.ncurl(server.url + "/s/").data == "<p>home</p>"

    def test_one_that_is_missing_is_warned_of(self, tmp_path):
        with pytest.warns(nngsock.NngWarning, match="`directory` does not exist"):
            nngsock.handler_directory("/", tmp_path / "none")


class TestInline:
    @pytest.mark.parametrize(
        ("data", "kind", "body"),
        [
            ("grün", None, "grün".encode()),
            (b"\x89PNG", "image/png", b"\x89PNG"),
            ("{}", "application/json; charset=utf-8", b"{}"),
        ],
    )
    def test_it_is_given_as_it_is(self, serve, data, kind, body):
        server = serve(nngsock.handler_inline("/x", data, content_type=kind))
        result = nngsock.ncurl(server.url + "/x", response=["content-type"], convert=False)
        assert result == (200, {"content-type": kind or "application/octet-stream"}, body)
        assert nngsock.ncurl(server.url + "/x/y").status == 404

    def test_with_prefix_it_is_for_all_below(self, serve):
        server = serve(nngsock.handler_inline("/x", "all", prefix=True))
        assert nngsock.ncurl(server.url + "/x/y").data == "all"


class TestRedirect:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_it_names_the_place(self, serve, status, method):
        server = serve(nngsock.handler_redirect("/old", "/new", status=status))
        result = nngsock.ncurl(server.url + "/old", method=method)
        assert result == (status, {"Location": "/new"}, "")

    @pytest.mark.parametrize(
        ("location", "path", "place"),
        [
            ("/new", "/old/a/b?x=1", "/new/a/b?x=1"),
            ("/new/", "/old/a", "/new/a"),
            ("https://example.com", "/old/a%20b", "https://example.com/a%20b"),
            ("/new?y=2", "/old?x=1", "/new?y=2"),
            ("/", "/old//evil.example", "/evil.example"),
            ("https://example.com", "/old/.evil.example", "https://example.com/.evil.example"),
        ],
    )
    def test_with_prefix_what_stands_below_is_kept_and_leads_to_no_other_host(
        self, serve, location, path, place
    ):
        server = serve(nngsock.handler_redirect("/old", location, prefix=True))
        assert nngsock.ncurl(server.url + path).headers == {"Location": place}

    def test_it_is_followed(self, serve):
        server = serve(nngsock.handler_redirect("/old", "/new"), nngsock.handler("/new", lambda req: req.uri))
        assert nngsock.ncurl(server.url + "/old?x=1", follow=True).data == "/new?x=1"
