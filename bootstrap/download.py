"""Getting one pinned wheel without pip, from where this machine's pip would get it.

The wheel must have a hash that the lock file lists, so neither an index nor the way to it has
to be trusted.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from bootstrap.lockfile import Pin
from bootstrap.pipconfig import PipConfig

_TIMEOUT = 60
"""Seconds without a byte after which a server counts as gone."""
_LIMIT = 64 * 1024 * 1024
"""Bytes; pip's wheel has under three million."""


class Links(HTMLParser):
    """Collects the `href` of every link of an index page (PEP 503), and the page's base."""

    def __init__(self) -> None:
        super().__init__()
        self.base: str | None = None
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if href and tag == "a":
            self.found.append(href)
        elif href and tag == "base" and self.base is None:
            self.base = href


def wheel_links(page: str, url: str, wheel: str) -> Iterator[str]:
    """Absolute links of a page to one wheel, fragments kept.

    :param page: the HTML of an index page.
    :param url: where it came from.
    :param wheel: the file name.
    """
    links = Links()
    links.feed(page)
    base = urllib.parse.urljoin(url, links.base) if links.base else url
    for href in links.found:
        link = urllib.parse.urljoin(base, href)
        path = urllib.parse.urlsplit(link).path
        if urllib.parse.unquote(path.rpartition("/")[2]) == wheel:
            yield link


def check(content: bytes, pin: Pin, fragment: str) -> None:
    """Refuse a wheel that is not the one the lock file or its link means.

    :param fragment: of the link: `sha256=<hex>`, another algorithm, or nothing.
    :raise ValueError: it is another file.
    """
    if hashlib.sha256(content).hexdigest() not in pin.hashes:
        raise ValueError(f"{pin.wheel} has none of the hashes that requirements/ lists for it")
    algorithm, equals, expected = fragment.partition("=")
    if not equals or algorithm not in hashlib.algorithms_guaranteed:
        return
    if hashlib.new(algorithm, content).hexdigest() != expected.lower():
        raise ValueError(f"{pin.wheel} is not the file its link promises ({algorithm})")


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


class Downloader:
    """Looks for wheels in the places that pip's configuration names.

    :ivar failures: one sentence for each place that had nothing, for the person who has to act.
    """

    def __init__(self, config: PipConfig) -> None:
        self._config = config
        self.failures: list[str] = []

    def wheel(self, pin: Pin, folder: Path) -> Path | None:
        """Put the pinned wheel into a folder.

        :return: the file, or None when no place had it; `failures` says why.
        """
        for place, links in self._places(pin):
            try:
                for link in links:
                    content = self._read(link)
                    check(content, pin, urllib.parse.urlsplit(link).fragment)
                    target = folder / pin.wheel
                    target.write_bytes(content)
                    return target
                self.failures.append(f"{place} has no {pin.wheel}")
            except (OSError, ValueError) as error:
                self.failures.append(f"{place}: {error}")
        return None

    def _places(self, pin: Pin) -> Iterator[tuple[str, Iterator[str]]]:
        for place in self._config.find_links:
            yield without_password(place), self._in_folder_or_page(place, pin)
        for index in self._config.indexes:
            yield without_password(index), self._in_index(index, pin)

    def _in_folder_or_page(self, place: str, pin: Pin) -> Iterator[str]:
        path = _local(place)
        if path is not None and path.is_dir():
            if (path / pin.wheel).is_file():
                yield (path / pin.wheel).resolve().as_uri()
            return
        url = path.resolve().as_uri() if path is not None else place
        yield from wheel_links(self._page(url), url, pin.wheel)

    def _in_index(self, index: str, pin: Pin) -> Iterator[str]:
        path = _local(index)
        base = path.resolve().as_uri() if path is not None else index
        url = f"{base.rstrip('/')}/{pin.name}/"
        if (folder := _local(url)) is not None:
            # A local index has the page in a file; urllib would list the folder instead.
            url = (folder / "index.html").as_uri()
        yield from wheel_links(self._page(url), url, pin.wheel)

    def _page(self, url: str) -> str:
        return self._read(url, accept="text/html").decode("utf-8", "replace")

    def _read(self, url: str, accept: str = "*/*") -> bytes:
        parts = urllib.parse.urlsplit(url)
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
        headers = {"Accept": accept, "User-Agent": "toolforge-gateway-run"}
        request = urllib.request.Request(bare.geturl(), headers=headers)
        if parts.username is not None and parts.hostname:
            name = urllib.parse.unquote(parts.username)
            pair = f"{name}:{urllib.parse.unquote(parts.password or '')}"
            credentials = "Basic " + base64.b64encode(pair.encode()).decode()
            # Not to wherever the index sends us on to.
            request.add_unredirected_header("Authorization", credentials)
        with self._opener(bare).open(request, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read(_LIMIT + 1)
        if len(content) > _LIMIT:
            raise ValueError("it is far too long")
        return content

    def _opener(self, parts: urllib.parse.SplitResult) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = []
        if self._config.proxy:
            handlers.append(
                urllib.request.ProxyHandler(dict.fromkeys(("http", "https"), self._config.proxy))
            )
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self._config.cert)
            if {parts.netloc, parts.hostname} & set(self._config.trusted_hosts):
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers)


def _local(place: str) -> Path | None:
    """The path that a place is on this machine, if it is."""
    parts = urllib.parse.urlsplit(place)
    if parts.scheme == "file":
        return Path(urllib.request.url2pathname(parts.path))
    return None if parts.scheme else Path(place).expanduser()
