"""The documentation in a browser: search, dark pages, nothing from other hosts, no serious finding of axe."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import browser as chromium
import pytest
from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.long, *chromium.NEEDED]


class Silent(SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The address of the site on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.running() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with chromium.opened(browser) as found:
        yield found


def test_the_search_finds_a_page_and_nothing_comes_from_another_host(address: str, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/index.html")
    page.fill("input.md-search__input", "quarantined")
    found = page.locator(".md-search-result__link")
    found.first.wait_for()
    assert "rollback" in " ".join(found.evaluate_all("links => links.map(link => link.href)"))
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []


def test_the_pages_are_dark_for_a_reader_who_prefers_it_and_can_be_changed(address: str, browser: Browser) -> None:
    with chromium.opened(browser, color_scheme="dark") as page:
        page.goto(f"{address}/quickstart.html")
        scheme = page.locator("body")
        assert scheme.get_attribute("data-md-color-media") == "(prefers-color-scheme)"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        page.get_by_title("Light pages").click()
        page.locator("body[data-md-color-scheme=default]").wait_for()


@pytest.mark.parametrize("name", ["index", "quickstart", "reference/database", "explanation/ml-test-score"])
def test_axe_has_no_serious_finding(address: str, page: Page, name: str) -> None:
    page.goto(f"{address}/{name}.html")
    assert chromium.serious_findings(page) == []
