"""Hooks of mkdocs: files of the project that pages link to join the site, and folders of the navigation are expanded.

A page links as on GitHub, by the path of a file. Files outside docs are under project/ in the site, whose index is
README.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PROJECT = Path(__file__).parents[2]
HOME = PROJECT / "README.md"
INSIDE = "project"
SEARCH = 'data-md-component="search" role="dialog"'
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
CELL = re.compile(r"<td.*?</td>", re.DOTALL)
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs, then expand the navigation."""
    pages = [Path(str(file.abs_src_path)) for file in files.documentation_pages()]
    for path in sorted(linked_from([HOME, *pages]) - set(pages)):
        if not path.is_relative_to(config.docs_dir):
            files.append(File.generated(config, place(path), abs_src_path=str(path)))
    config.nav = expanded(config.nav or [], files)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text of the page, in which links lead to places of the site."""
    source = Path(str(page.file.abs_src_path))
    places = {Path(str(file.abs_src_path)): file.src_uri for file in files if file.abs_src_path}

    def relinked(found: re.Match[str]) -> str:
        target = places.get(resolved(source, found[2]))
        if target is None:
            return found[0]
        return found[1] + os.path.relpath(target, Path(page.file.src_uri).parent) + found[3]

    return LINK.sub(relinked, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page, without the backslash that GitHub wants before a bar within code of a table."""
    return CELL.sub(lambda found: found[0].replace(r"\|", "|"), html)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The page, with a name for the search dialog, which the theme lacks: a screen reader says it."""
    return output.replace(SEARCH, f'{SEARCH} aria-label="Search"')


def linked_from(pages: list[Path]) -> set[Path]:
    """The pages, and all files of the project that they link to, directly or through other pages."""
    found: set[Path] = set()
    waiting = list(pages)
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_file() and path.is_relative_to(PROJECT):
            found.add(path)
            waiting += links(path) if path.suffix == ".md" else []
    return found


def links(page: Path) -> list[Path]:
    """The files that a page links to."""
    return [resolved(page, link) for _, link, _ in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]


def resolved(page: Path, link: str) -> Path:
    """The file that a link of the page names; of a folder its README."""
    path = (page.parent / link).resolve()
    return path / "README.md" if path.is_dir() else path


def place(path: Path) -> str:
    """The place in the site of a file outside docs; mkdocs leaves out names that begin with a dot."""
    parts = [part.lstrip(".") for part in path.relative_to(PROJECT).parts]
    return "index.md" if path == HOME else "/".join([INSIDE, *parts])


def expanded(nav: Any, files: Files) -> Any:
    """The navigation, in which `folder/*` is replaced by the pages of the folder that are not named."""
    named = set(entries(nav))
    rest = [file for file in files.documentation_pages() if file.src_uri not in named]
    return [each for entry in nav for each in _expanded(entry, sorted(rest, key=title))]


def _expanded(entry: Any, rest: list[File]) -> list[Any]:
    if isinstance(entry, dict):
        return [{name: [each for inner in inside for each in _expanded(inner, rest)]} for name, inside in entry.items()]
    if not entry.endswith("/*"):
        return [entry]
    return [file.src_uri for file in rest if file.src_uri.startswith(entry[:-1])]


def entries(nav: Any) -> Iterator[str]:
    """The pages that the navigation names."""
    for entry in nav:
        if isinstance(entry, dict):
            for inside in entry.values():
                yield from entries(inside)
        else:
            yield entry


def title(file: File) -> tuple[bool, str]:
    """The order of a page in its folder: the page of the folder itself, then by title."""
    found = TITLE.search(Path(str(file.abs_src_path)).read_text(encoding="utf-8"))
    return file.name != "index", found[1].lower() if found else file.src_uri
