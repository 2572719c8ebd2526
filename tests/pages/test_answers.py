"""How pages and their files are sent: headers, compression, 304."""

from __future__ import annotations

import gzip
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import FlattenerError
from twisted.web.test.requesthelper import DummyRequest

from toolforge_gateway.errors import Refusal
from toolforge_gateway.pages.answers import (
    CONTENT_SECURITY_POLICY,
    NO_STORE,
    REVALIDATE,
    Page,
    accepts_gzip,
    content,
    send,
)
from toolforge_gateway.pages.assets import FOR_EVER, KINDS, Assets, read_static
from toolforge_gateway.pages.frame import Frame, flat

TEXT = b"a line that comes again\n" * 100


def asking(method: bytes = b"GET", path: tuple[bytes, ...] = (), **headers: bytes) -> Any:
    """A request; header names with _ for -."""
    request = DummyRequest(list(path))
    request.method = method
    for name, value in headers.items():
        request.requestHeaders.setRawHeaders(name.replace("_", "-").encode(), [value])
    return request


def said(request: Any, name: str) -> bytes | None:
    """A header of the answer."""
    values = request.responseHeaders.getRawHeaders(name.encode())
    return values[0] if values else None


def refuse(request: Any, refusal: Refusal) -> bytes:
    """Stands for the gateway's refusals."""
    request.setResponseCode(refusal.status)
    return refusal.reason.encode()


class SendTests(SynchronousTestCase):
    """`send`."""

    def test_whole(self) -> None:
        """Without conditions the body comes as it is, with its type and tag."""
        request = asking()
        self.assertEqual(send(request, content(TEXT, "text/plain"), REVALIDATE), TEXT)
        self.assertEqual(said(request, "content-type"), b"text/plain")
        self.assertEqual(said(request, "cache-control"), b"no-cache")
        self.assertEqual(said(request, "content-encoding"), None)
        self.assertRegex(said(request, "etag") or b"", rb'^"[0-9a-f]{20}"$')

    def test_strict(self) -> None:
        """Every answer has the policy, which lets nothing in that is not a file of ours."""
        request = asking()
        send(request, content(TEXT, "text/plain"), NO_STORE)
        self.assertEqual(said(request, "content-security-policy"), CONTENT_SECURITY_POLICY.encode())
        self.assertTrue(CONTENT_SECURITY_POLICY.startswith("default-src 'none';"))
        self.assertNotIn("unsafe", CONTENT_SECURITY_POLICY)
        self.assertNotIn("http", CONTENT_SECURITY_POLICY)
        self.assertEqual(said(request, "x-content-type-options"), b"nosniff")
        self.assertEqual(said(request, "referrer-policy"), b"no-referrer")

    def test_compressed(self) -> None:
        """Who accepts gzip gets it, with a tag of its own, and Vary is said to all."""
        plain, packed = asking(), asking(accept_encoding=b"br, gzip")
        what = content(TEXT, "text/plain")
        send(plain, what, REVALIDATE)
        body = send(packed, what, REVALIDATE)
        self.assertEqual(gzip.decompress(body), TEXT)
        self.assertLess(len(body), len(TEXT))
        self.assertEqual(said(packed, "content-encoding"), b"gzip")
        self.assertNotEqual(said(packed, "etag"), said(plain, "etag"))
        self.assertEqual({said(each, "vary") for each in (plain, packed)}, {b"Accept-Encoding"})

    def test_not_worth_it(self) -> None:
        """What is short, or does not get shorter, is never compressed."""
        for body in (b"", b"short", bytes(range(256)) * 2):
            what = content(body, "image/png")
            self.assertEqual(send(asking(accept_encoding=b"gzip"), what, REVALIDATE), body)
        self.assertIsNone(content(b"x" * 255, "text/plain").compressed)

    def test_not_modified(self) -> None:
        """Whoever has it already is told so, with the headers a cache needs and no body."""
        first = asking()
        what = content(TEXT, "text/plain")
        send(first, what, REVALIDATE)
        tag = said(first, "etag") or b""
        for known in (tag, b"W/" + tag, b'"other", ' + tag, b"*"):
            again = asking(if_none_match=known)
            self.assertEqual(send(again, what, REVALIDATE), b"")
            self.assertEqual(again.responseCode, 304)
            self.assertEqual(said(again, "etag"), tag)
            self.assertEqual(said(again, "content-type"), None)

    def test_modified(self) -> None:
        """Another tag, the tag of the other encoding, or nonsense: the whole answer."""
        first = asking(accept_encoding=b"gzip")
        what = content(TEXT, "text/plain")
        send(first, what, REVALIDATE)
        for known in (said(first, "etag") or b"", b'"x"', b"", b",,", b"\xff"):
            again = asking(if_none_match=known)
            self.assertEqual(send(again, what, REVALIDATE), TEXT)
            self.assertNotEqual(again.responseCode, 304)

    def test_personal(self) -> None:
        """What is not to be stored has no tag and is never "not modified"."""
        request = asking(if_none_match=b"*")
        self.assertEqual(send(request, content(TEXT, "text/plain"), NO_STORE), TEXT)
        self.assertEqual(said(request, "etag"), None)

    def test_head(self) -> None:
        """HEAD has the headers of GET, length included, and no body."""
        request = asking(b"HEAD")
        self.assertEqual(send(request, content(TEXT, "text/plain"), REVALIDATE), b"")
        self.assertEqual(said(request, "content-length"), b"%d" % len(TEXT))

    def test_accepts(self) -> None:
        """Accept-Encoding is read with its weights."""
        for header, wanted in [
            (None, False),
            (b"", False),
            (b"gzip", True),
            (b"GZIP ; q=0.5", True),
            (b"x-gzip", True),
            (b"gzip;q=0", False),
            (b"gzip;q=0.000, *", False),
            (b"*", True),
            (b"*;q=0", False),
            (b"identity, br", False),
            (b"gzip;q=nonsense", False),
            (b"\xff\xfe", False),
        ]:
            self.assertEqual(accepts_gzip(header), wanted, header)


class PageTests(SynchronousTestCase):
    """`Page`."""

    def test_read_only(self) -> None:
        """Only GET and HEAD are answered; the others are told which are."""
        page = Page(lambda: content(TEXT, "text/plain"), refuse)
        self.assertEqual(page.render(asking()), TEXT)
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"get"):
            request = asking(method)
            self.assertEqual(page.render(request), b"read-only-page")
            self.assertEqual((request.responseCode, said(request, "allow")), (405, b"GET, HEAD"))


class AssetsTests(SynchronousTestCase):
    """`Assets`."""

    def setUp(self) -> None:
        """Two files."""
        self.assets = Assets("/a", refuse, {"x.css": TEXT, "deep/y.js": b"1"})

    def get(self, url: str, method: bytes = b"GET") -> tuple[Any, bytes]:
        """Ask for a URL below the mount."""
        request = asking(method)
        request.postpath = [part.encode() for part in url.removeprefix("/a/").split("/")]
        return request, self.assets.render(request)

    def test_kept(self) -> None:
        """The URL of a file leads to it, and it may be kept for ever."""
        request, body = self.get(self.assets.url("x.css"))
        self.assertEqual(body, TEXT)
        self.assertEqual(said(request, "cache-control"), FOR_EVER.encode())
        self.assertEqual(said(request, "content-type"), b"text/css; charset=utf-8")
        self.assertEqual(self.get(self.assets.url("deep/y.js"))[1], b"1")

    def test_another_version(self) -> None:
        """With the digest of another version it is what there is, and not kept."""
        request, body = self.get("/a/0123456789abcdef/x.css")
        self.assertEqual(body, TEXT)
        self.assertEqual(said(request, "cache-control"), b"no-cache")

    def test_other_contents(self) -> None:
        """Files of other contents, or other names, have other URLs."""
        urls = {
            Assets("/a", refuse, found).url("x.css")
            for found in ({"x.css": b"1"}, {"x.css": b"2"}, {"x.css": b"1", "y.css": b""})
        }
        self.assertEqual(len(urls), 3)

    def test_nothing_else(self) -> None:
        """No other name leads anywhere, least of all up."""
        digest = self.assets.url("x.css").split("/")[2]
        for url in ("", digest, f"{digest}/", f"{digest}/X.css", f"{digest}/deep", "x.css"):
            request, body = self.get("/a/" + url)
            self.assertEqual((request.responseCode, body), (404, b"no-such-path"), url)
        for rest in ("../x.css", "./x.css", "deep/../x.css", "/etc/passwd", "__init__.py"):
            request, _ = self.get(f"/a/{digest}/{rest}")
            self.assertEqual(request.responseCode, 404, rest)
        self.assertRaises(KeyError, self.assets.url, "z.css")

    def test_read_only(self) -> None:
        """Files can be read only."""
        self.assertEqual(self.get(self.assets.url("x.css"), b"POST")[0].responseCode, 405)
        self.assertEqual(self.get(self.assets.url("x.css"), b"HEAD")[1], b"")

    def test_shipped(self) -> None:
        """Each file of the package has a media type and can be served."""
        files = read_static()
        self.assertIn("style.css", files)
        assets = Assets("/a", refuse)
        for name in files:
            request = asking()
            request.postpath = [part.encode() for part in assets.url(name).split("/")[2:]]
            self.assertEqual(assets.render(request), files[name], name)
            self.assertEqual(said(request, "content-type"), KINDS[name.split(".")[-1]].encode())


class FrameTests(SynchronousTestCase):
    """`Frame`."""

    def setUp(self) -> None:
        """The frame of the package's own files."""
        self.assets = Assets("/docs/assets", refuse)
        self.frame = Frame(self.assets)

    def test_escaped(self) -> None:
        """Text is text, whatever is in it."""
        page = self.frame.page("<b>", "<script>alert(1)</script>", '"&').body.decode()
        self.assertNotIn("<script>alert", page)
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;", page)
        self.assertIn("<title>&lt;b&gt; · Toolforge API</title>", page)

    def test_shape(self) -> None:
        """A page has a language, a skip link to its content, and says where it is."""
        page = self.frame.page("Status", "x", here="/status").body.decode()
        self.assertTrue(page.startswith('<!DOCTYPE html>\n<html lang="en">'), page[:80])
        self.assertIn('href="#content"', page)
        self.assertIn('id="content"', page)
        self.assertEqual(page.count('aria-current="page"'), 1)
        self.assertIn(self.assets.url("style.css"), page)

    def test_nothing_inline(self) -> None:
        """No script, style or handler is in the page itself, as the policy wants it."""
        page = self.frame.page("x", "y", scripts=("style.css",)).body.decode()
        self.assertNotRegex(page, r"<style|style=|\son[a-z]+=|<script(?![^>]*src=)")

    def test_no_waiting(self) -> None:
        """A part that is not there yet is a mistake, and so is one that fails."""
        self.assertRaises(ValueError, flat, Deferred())
        self.assertRaises(FlattenerError, flat, object())
