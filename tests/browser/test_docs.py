"""`/docs` in a real browser: reading, searching, filtering, and by keyboard alone."""

from __future__ import annotations

import json
from typing import Any

from tests.browser.document import JSON, document
from tests.browser.stage import PageTest, accessibility, screenshot
from tests.coroutines import CoroutineCase

TALL = {"width": 1200, "height": 1100}


def serve(page: Any, found: JSON | None = None, status: int = 200) -> None:
    """Put a document in the place of the gateway's."""
    text = json.dumps(document() if found is None else found)

    def fulfil(route: Any) -> None:
        route.fulfill(status=status, content_type="application/json", body=text)

    page.route("**/openapi.json", fulfil)


def arrive(page: Any, address: str = "/docs", found: JSON | None = None) -> None:
    """Open the page and wait until the document is shown."""
    serve(page, found)
    page.goto(address)
    page.locator(".operation:visible, .notice:visible").first.wait_for()


def shown(page: Any) -> list[str]:
    """The operations that are to be seen, by name."""
    found: list[str] = page.eval_on_selector_all(
        ".operation",
        "all => all.filter(each => each.checkVisibility()).map(each => each.dataset.operation)",
    )
    return found


def unfold(page: Any, name: str) -> Any:
    """Unfold an operation; gives its element."""
    place = page.locator(f"[data-operation={name}]")
    place.locator("h3 button").click()
    return place


class Reading(CoroutineCase, PageTest):
    """What the page shows."""

    async def test_whole(self) -> None:
        """All operations of all APIs are there, each below its API, and open on a click."""

        def look(page: Any) -> None:
            arrive(page)
            self.assertEqual(len(shown(page)), 14)
            self.assertEqual(
                page.locator("h2").all_inner_texts(),
                [
                    "builds not up to date",
                    "components",
                    "envvars",
                    "ghosts not up to date",
                    "jobs Jobs API 2.3.0",
                    "logs",
                ],
            )
            job = unfold(page, "listJobs")
            self.assertIn("All jobs of a tool.", job.inner_text())
            self.assertEqual(job.locator("li > strong, .prose strong").count(), 1)
            self.assertIn("a client certificate", job.inner_text())

        await self.look(look)

    async def test_text_stays_text(self) -> None:
        """HTML and dangerous links in a document are never more than text."""

        def look(page: Any) -> None:
            found = document()
            evil = "<img src=x onerror=alert(1)> [x](javascript:alert(1)) ![y](https://e.invalid/y)"
            operation = found["paths"]["/jobs/v1/tool/{toolname}/jobs/"]["get"]
            operation["description"] = operation["summary"] = evil
            operation["responses"]["200"]["description"] = evil
            arrive(page, found=found)
            job = unfold(page, "listJobs")
            self.assertIn("<img src=x", job.inner_text())
            self.assertEqual(page.locator("main img, main script").count(), 0)
            self.assertEqual(page.locator("a[href^=javascript]").count(), 0)

        await self.look(look)

    async def test_deprecated(self) -> None:
        """What is deprecated says so in the list, and inside with the dates that are given."""

        def look(page: Any) -> None:
            arrive(page)
            old = unfold(page, "oldBuild")
            self.assertIn("deprecated", old.locator("h3").inner_text())
            notice = old.locator(".notice").inner_text()
            for words in ("Deprecated.", "Since", "2026-03-01", "Works until", "2027-01-31"):
                self.assertIn(words, notice)
            page.get_by_label("Show what is deprecated").uncheck()
            self.assertNotIn("oldBuild", shown(page))

        await self.look(look)

    async def test_stale(self) -> None:
        """An API whose part is not of today says since when and why; the others do not."""

        def look(page: Any) -> None:
            arrive(page)
            stale = page.locator("section", has=page.get_by_role("heading", name="builds"))
            text = stale.locator(".notice").inner_text()
            self.assertIn("2026-11-20 10:00 UTC", text)
            self.assertIn("no answer within 10 seconds", text)
            self.assertEqual(page.locator("section > .notice").count(), 2)

        await self.look(look)

    async def test_schemas(self) -> None:
        """Schemas unfold as deep as one likes, round a circle too; a lost reference is said."""

        def look(page: Any) -> None:
            arrive(page)
            job = unfold(page, "createJob")
            job.get_by_text("Schema: JobsJob").click()
            job.locator(".member").first.wait_for()
            text = job.inner_text()
            for words in ("required", "deprecated", "at most 5", '"none"', "leads nowhere"):
                self.assertIn(words, text)
            for n in range(4):
                job.get_by_text("What is in JobsJob").nth(n).click()
                job.get_by_text("What is in JobsJob").nth(n + 1).wait_for()
            self.assertEqual(job.locator(".member code", has_text="imagename").count(), 5)

        await self.look(look)

    async def test_bad_documents(self) -> None:
        """Nonsense in a document never breaks the page: what makes sense is shown."""
        odd: list[JSON] = [
            {"paths": {"/jobs/x": None, "/a": {"get": {}}, "/b": {"get": 3, "post": {"tags": 1}}}},
            {
                "paths": {
                    "/a": {
                        "get": {
                            "parameters": [None, 3, {"$ref": "#/x"}, {"name": "q", "in": "query"}],
                            "responses": {"200": {"$ref": "#/paths/~1a/get/responses/200"}},
                            "requestBody": {"content": {"application/json": {"schema": True}}},
                            "security": {},
                        }
                    },
                    "/b": {"$ref": "#/paths/~1a"},
                },
                "servers": [{"url": "{x}"}, None, {"url": "http://["}],
                "tags": "none",
            },
        ]
        for found in odd:

            def look(page: Any, found: JSON = found) -> None:
                arrive(page, found=found)
                self.assertEqual(len(shown(page)), 2)
                for button in page.locator(".operation h3 button").all():
                    button.click()
                for details in page.locator(".operation summary").all():
                    details.click()

            await self.look(look)

    async def test_odd_names(self) -> None:
        """Names that mean something to a page or to JavaScript are names like any other."""

        def look(page: Any) -> None:
            found = document()
            job = found["paths"]["/jobs/v1/tool/{toolname}/jobs/"]
            job["get"]["operationId"] = "search"
            job["post"]["operationId"] = "a b'\"<c>"
            job["post"]["requestBody"]["content"]["application/json"] = {
                "schema": {
                    "properties": {
                        "__proto__": {"type": "string", "format": "constructor"},
                        "toString": {"type": "string"},
                    }
                }
            }
            found["paths"]["/constructor/x"] = {"get": {"operationId": "toString"}}
            arrive(page, "/docs#a%20b'%22%3Cc%3E", found)
            text = page.locator(".panel:visible").inner_text()
            self.assertIn('"toString": "string"', page.locator("textarea").input_value())
            self.assertIn("Schema: object", text)
            page.keyboard.press("/")
            page.keyboard.type("search")
            self.assertEqual(shown(page), ["search"])
            self.assertEqual(page.evaluate("document.querySelectorAll('#search').length"), 1)

        await self.look(look)

    async def test_large(self) -> None:
        """A thousand operations are there at once, and a search among them is no wait."""

        def look(page: Any) -> Any:
            found = document()
            item = found["paths"]["/jobs/v1/tool/{toolname}/jobs/{job}"]
            for n in range(500):
                found["paths"][f"/jobs/v{n}/{{toolname}}/{{job}}"] = {
                    **item,
                    "get": {**item["get"], "operationId": f"get{n}"},
                    "delete": {**item["delete"], "operationId": f"delete{n}"},
                }
            arrive(page, found=found)
            self.assertEqual(len(shown(page)), 1014)
            page.get_by_label("Search").fill("get499")
            self.assertEqual(shown(page), ["get499"])

        await self.look(look)


class NoDocument(CoroutineCase, PageTest):
    """What the page says when there is nothing to show."""

    expected = ("500", "503", "404")

    async def test_not_there(self) -> None:
        """Without a document it says so, and where to look."""
        for status, words in [(500, "status 500"), (404, "No API publishes")]:

            def look(page: Any, status: int = status, words: str = words) -> None:
                serve(page, {}, status=status)
                page.goto("/docs")
                self.assertIn(words, page.get_by_role("alert").inner_text())

            await self.look(look)

    async def test_just_started(self) -> None:
        """A gateway that is still asking its backends is asked again, without a reload."""

        def look(page: Any) -> None:
            serve(page, {}, status=503)
            page.goto("/docs")
            page.get_by_text("Reading the document").wait_for()
            page.unroute("**/openapi.json")
            serve(page)
            page.locator(".operation").first.wait_for()

        await self.look(look)

    async def test_no_operations(self) -> None:
        """A document without operations, and one that is none, are told apart."""
        for found, words in [({"paths": {}}, "No API has published"), ([], "no OpenAPI document")]:

            def look(page: Any, found: Any = found, words: str = words) -> None:
                arrive(page, found=found)
                self.assertIn(words, page.locator("#browser").inner_text())

            await self.look(look)

    async def test_no_script(self) -> None:
        """Without JavaScript there is a notice, with the way to the document itself."""

        def look(page: Any) -> None:
            page.goto("/docs")
            notice = page.locator("noscript")
            self.assertIn("needs JavaScript", notice.inner_text())
            links = page.locator(".notice a")
            self.assertEqual(
                [each.get_attribute("href") for each in links.all()],
                ["/openapi.json", "/openapi.yaml"],
            )
            self.assertTrue(links.first.is_visible())

        await self.look(look, java_script_enabled=False)


class Finding(CoroutineCase, PageTest):
    """Search and filter."""

    async def test_search(self) -> None:
        """All words must be somewhere in an operation: path, name, method, description."""

        def look(page: Any) -> None:
            arrive(page)
            search = page.get_by_label("Search")
            for words, wanted in [
                ("DELETE variable", ["deleteEnvvar"]),
                ("one-off", ["listJobs"]),
                ("/logs_stream", ["followLog"]),
                ("include_unset", ["listJobs"]),
                ("startbuild", ["startBuild"]),
                ("nothing of the kind", []),
            ]:
                search.fill(words)
                self.assertEqual(shown(page), wanted, words)
            self.assertTrue(page.get_by_text("Nothing here matches").is_visible())
            self.assertIn("0 of 14", page.get_by_role("status").first.inner_text())
            search.fill("")
            self.assertEqual(len(shown(page)), 14)

        await self.look(look)

    async def test_filter(self) -> None:
        """One API alone can be shown; the address of the page leads to the same again."""

        def look(page: Any) -> None:
            arrive(page)
            page.get_by_label("builds 3").check()
            self.assertEqual(shown(page), ["listBuilds", "startBuild", "oldBuild"])
            page.get_by_label("Search").fill("list")
            self.assertEqual(shown(page), ["listBuilds"])
            address = page.url
            self.assertIn("q=list&api=builds", address)
            page.goto("about:blank")
            arrive(page, address)
            self.assertEqual(shown(page), ["listBuilds"])

        await self.look(look)

    async def test_link(self) -> None:
        """The name of an operation in the address opens it; an odd one does no harm."""

        def look(page: Any) -> None:
            arrive(page, "/docs#showJob")
            self.assertTrue(page.locator("[data-operation=showJob] .panel").is_visible())
            page.locator("[data-operation=showJob] h3 button").click()
            self.assertFalse(page.locator("[data-operation=showJob] .panel").is_visible())
            self.assertTrue(page.url.endswith("/docs"))
            page.goto("/docs?api=no&q=#%E0%A4%A")
            self.assertEqual(len(shown(page)), 14)

        await self.look(look)

    async def test_keyboard(self) -> None:
        """Everything can be reached and done without a mouse."""

        def look(page: Any) -> None:
            arrive(page)
            press = page.keyboard.press
            active = "document.activeElement"
            press("/")
            self.assertEqual(page.evaluate(f"{active}.id"), "search")
            page.keyboard.type("jobs show")
            self.assertEqual(shown(page), ["showJob"])
            press("Tab")
            press("ArrowDown")
            press("ArrowUp")
            self.assertEqual(page.evaluate(f"{active}.name"), "api")
            for _ in range(8):
                press("Tab")
                if page.evaluate(f"{active}.hasAttribute('aria-expanded')"):
                    break
            press("Enter")
            self.assertTrue(page.locator("[data-operation=showJob] .panel").is_visible())
            lines = page.locator("[data-operation=showJob] pre")
            press("Tab")
            page.keyboard.type("my-tool-2")
            for _ in range(2):
                press("Tab")
            self.assertEqual(page.evaluate(f"{active}.getAttribute('role')"), "tab")
            press("ArrowRight")
            self.assertIn("requests.get", lines.inner_text())
            self.assertIn("my-tool-2", lines.inner_text())
            press("End")
            self.assertIn("toolforge jobs show", lines.inner_text())
            press("ArrowRight")
            self.assertIn("curl", lines.inner_text())

        await self.look(look)


class Looks(CoroutineCase, PageTest):
    """Screenshots, kept as documentation, and what axe says of the same views."""

    async def test_accessible(self) -> None:
        """With everything unfolded axe finds nothing, in light and dark, wide and narrow."""

        def look(page: Any) -> list[str]:
            arrive(page)
            for name in ("startBuild", "oldBuild", "createJob", "followLog"):
                unfold(page, name)
            page.get_by_text("For the command lines").click()
            page.locator("[data-operation=createJob]").get_by_text("Schema: JobsJob").click()
            page.locator("[data-operation=createJob] .answers summary").first.click()
            return accessibility(page)

        for options in ({}, {"dark": True}, {"narrow": True}):
            self.assertAccessible(await self.look(look, **options))

    async def test_screenshots(self) -> None:
        """The page as docs/pages.md shows it."""
        for name, options in [
            ("docs-light", {"viewport": TALL}),
            ("docs-dark", {"viewport": TALL, "dark": True}),
            ("docs-narrow", {"narrow": True}),
        ]:

            def look(page: Any, name: str = name) -> None:
                found = document()
                found["servers"] = [{"url": "https://api.example.org"}]
                arrive(page, "/docs?api=jobs", found)
                unfold(page, "createJob")
                page.get_by_label("toolname").fill("tf-test")
                screenshot(page, name)

            await self.look(look, **options)
