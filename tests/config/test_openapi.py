"""`openapi_docs`, and the keys `openapi` and `api` of a backend."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.config.samples import complaints, completed, loaded


def backend(name: str, keys: str) -> str:
    """An entry of `backends`, a line."""
    return f"- {{name: {name}, url: 'https://{name}:1', {keys}}}\n"


def said(keys: str) -> list[str]:
    """What one backend with these keys earns."""
    return complaints(completed("backends:\n" + backend("a", keys)))


class BackendTests(SynchronousTestCase):
    """A backend that has a document to show, and its API's name."""

    def test_opting_in(self) -> None:
        """`true` is the usual path, a path is itself, `false` and absence are nothing."""
        text = "backends:\n" + "".join(
            backend(f"a{number}", f"path: /a{number}{keys}")
            for number, keys in enumerate(
                ["", ", openapi: false", ", openapi: true", ", openapi: /v1/spec.yaml"]
            )
        )
        self.assertEqual(
            [each.openapi for each in loaded(text).backends],
            [None, None, "/openapi.json", "/v1/spec.yaml"],
        )

    def test_name(self) -> None:
        """The API is called like the path's last segment, or as `api` says."""
        text = "backends:\n" + backend("a", "path: /beta/jobs") + backend("b", "path: /b, api: C")
        self.assertEqual([each.api for each in loaded(text).backends], ["jobs", "C"])

    def test_no_path(self) -> None:
        """What is neither true nor a path is told so, with the place."""
        for value, what in {
            "openapi.json": "'openapi.json' begins with no slash; write /openapi.json",
            "/a//b": "'/a//b' is no path of plain segments; "
            "write /name or /name/name with letters, digits and - . _ ~",
            "/../x": "'/../x' has a dot segment; write the path that you mean",
            "/": "'/' is no document; name it",
            "1": "is 1; write true, or the document's path, like /openapi.json",
            "[]": "is no path; write true, or the document's path, like /openapi.json",
            "yes": "'yes' begins with no slash; write /yes",
            "null": "has no value; give it one or remove the key",
        }.items():
            self.assertEqual(
                said(f"path: /a, openapi: {value}"), [f"g.yaml:2: backends[0].openapi: {what}"]
            )

    def test_no_name(self) -> None:
        """A name that cannot begin the names of components is refused."""
        for name in ["1st", "a.b", "a b", "-a", "ä", "x" * 41]:
            self.assertEqual(
                said(f"path: /a, api: '{name}'"),
                [
                    f"g.yaml:2: backends[0].api: '{name}' is no name of an API; "
                    "write up to 40 letters, digits, - and _, a letter first"
                ],
            )

    def test_no_name_by_default(self) -> None:
        """A segment that is no name matters only where a document needs one."""
        self.assertEqual(said("path: /v1.2"), [])
        self.assertEqual(
            said("path: /v1.2, openapi: true"),
            [
                "g.yaml:2: backends[0].openapi: has no name that its parts could get from '/v1.2'; "
                "add api: NAME"
            ],
        )
        self.assertEqual(said("path: /v1.2, openapi: true, api: v12"), [])

    def test_shared_name(self) -> None:
        """Two documents never go by one name, whatever its case."""
        text = "backends:\n" + backend("a", "path: /jobs, openapi: true")
        text += backend("b", "path: /beta/Jobs, openapi: true")
        text += backend("c", "path: /c, api: JOBS") + backend("d", "path: /d/jobs")
        self.assertEqual(
            complaints(completed(text)),
            [
                "g.yaml:3: backends[1].openapi: 'Jobs' is also the API of the backend in line 2; "
                "give each its own by api: NAME",
                "g.yaml:4: backends[2].api: 'JOBS' is also the API of the backend in line 2; "
                "give each its own by api: NAME",
            ],
        )


class DocumentTests(SynchronousTestCase):
    """The section `openapi_docs`."""

    def test_complaints(self) -> None:
        """All that is wrong is said at once, with a guess at what was meant."""
        text = """
            openapi_docs:
              titel: X
              refresh: 0
              external_servers:
              - {url: "http://api.example.org"}
              - {url: "https://a@b"}
              - {description: nowhere}
              - {url: "https://x/?a", descripton: y}
        """
        self.assertEqual(
            complaints(completed(text)),
            [
                "g.yaml:2: openapi_docs.titel: is no key that is known here; did you mean title?",
                "g.yaml:3: openapi_docs.refresh: is 0; write 1 or more",
                "g.yaml:5: openapi_docs.external_servers[0].url: is plain http, over which "
                "credentials could be read; write https://host[:port], as clients write it",
                "g.yaml:6: openapi_docs.external_servers[1].url: has a user name; "
                "write https://host[:port], as clients write it",
                "g.yaml:7: openapi_docs.external_servers[2].url: is missing; add it",
                "g.yaml:8: openapi_docs.external_servers[3].url: has a query or a fragment; "
                "write https://host[:port], as clients write it",
                "g.yaml:8: openapi_docs.external_servers[3].descripton: is no key that is known "
                "here; did you mean description?",
            ],
        )

    def test_nobody(self) -> None:
        """A document that no backend adds to is odd, and allowed."""
        (warning,) = loaded("openapi_docs: {title: X}").warnings
        self.assertEqual(
            str(warning).rpartition("/")[2],
            "g.yaml:1: openapi_docs: describes a document, and no backend adds to it; "
            "add openapi: true to the backends that publish one",
        )
