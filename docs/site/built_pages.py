"""What is wrong with the pages of a built site: `python docs/site/built_pages.py build/docs`.

Every link and anchor within the site must exist, and no page may load anything from another host. Links that a reader
may click to other hosts are listed, not fetched.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src"), ("source", "src"), ("use", "href")}
IN_STYLES = re.compile(r"(?:url\(|@import )\s*['\"]?((?:https?:)?//[^'\")\s]+)")


@dataclass
class Found(HTMLParser):
    """The anchors of a page, what it loads, and where its links lead."""

    anchors: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if (tag, name) in LOADING and value:
                self.loaded.add(value)
            elif tag == "a" and name == "href" and value:
                self.links.add(value)


def read(site: Path) -> dict[Path, Found]:
    """Each page of the site."""
    pages: dict[Path, Found] = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = Found()
        pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def is_foreign(link: str) -> bool:
    """Whether a link leads to another host."""
    return bool(urlsplit(link).netloc)


def dead(site: Path) -> list[str]:
    """The links and anchors that lead nowhere: page and link."""
    pages = read(site)
    return [
        f"{path.relative_to(site)}: {link}"
        for path, found in pages.items()
        for link in sorted(found.links | found.loaded)
        if not is_foreign(link) and not _exists(site, path, link, pages)
    ]


def _exists(site: Path, page: Path, link: str, pages: dict[Path, Found]) -> bool:
    """Whether a link of a page leads to a file, and its anchor to a place there."""
    parts = urlsplit(link)
    if parts.scheme:
        return parts.scheme == "mailto"
    above = site if parts.path.startswith("/") else page.parent
    target = (above / unquote(parts.path).lstrip("/")).resolve() if parts.path else page
    if target.is_dir():
        target = target / "index.html"
    if target not in pages:
        return target.is_file()
    return parts.fragment in ("", "__skip") or unquote(parts.fragment) in pages[target].anchors


def loaded_from_elsewhere(site: Path) -> list[str]:
    """What pages and style sheets load from other hosts."""
    of_pages = [f"{path.relative_to(site)}: {each}" for path, found in read(site).items() for each in found.loaded
                if is_foreign(each)]  # fmt: skip
    return of_pages + [
        f"{path.relative_to(site)}: {each}"
        for path in sorted(site.rglob("*.css"))
        for each in IN_STYLES.findall(path.read_text(encoding="utf-8"))
    ]


def external(site: Path) -> Iterator[str]:
    """The links to other hosts, each once."""
    yield from sorted({link for found in read(site).values() for link in found.links if is_foreign(link)})


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    print("Links to other hosts (not fetched):", *external(folder), sep="\n  ")
    if wrong := dead(folder) + loaded_from_elsewhere(folder):
        sys.exit("\n".join(["error: pages with dead links, or with parts of other hosts", *wrong]))
