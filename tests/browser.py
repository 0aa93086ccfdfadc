"""Debian's Chromium for tests of pages, without a profile and without calls to other hosts."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 120_000  # a busy machine
QUIET = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
SCREENSHOTS = "LOCKGATE_SCREENSHOTS"  # the folder that keeps the pictures of a run
NEEDED = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the path"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@contextmanager
def running() -> Iterator[Browser]:
    """A browser; it ends with the block."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, **settings: object) -> Iterator[Page]:
    """A page of a new session, with settings of Playwright's `new_page`; it is closed at the end of the block."""
    page = browser.new_page(**settings)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.close()


def serious_findings(page: Page) -> list[tuple[str, str]]:
    """The rules of axe that the page breaks seriously or critically, each with the first place."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def picture(page: Page, name: str) -> None:
    """Keep a screenshot of the whole page where LOCKGATE_SCREENSHOTS says."""
    if folder := os.environ.get(SCREENSHOTS):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
