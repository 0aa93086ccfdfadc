"""The documentation as a site: it builds without a warning, and no link of it is dead."""

import json
import re
from pathlib import Path

from built_pages import dead, external, loaded_from_elsewhere, read

PROJECT = Path(__file__).parents[2]


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    assert dead(site) == []


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    assert loaded_from_elsewhere(site) == []
    assert {link for link in external(site) if not link.startswith("https://")} == set()


def test_every_page_of_the_project_is_in_the_site(site: Path) -> None:
    inside = [*(PROJECT / "docs").rglob("*.md")]
    pages = {path.relative_to(site).as_posix() for path in read(site)}
    for path in inside:
        place = path.relative_to(PROJECT / "docs").with_suffix(".html").as_posix().replace("README.html", "index.html")
        assert place in pages
    assert {"index.html", "project/CHANGELOG.html", "project/CONTRIBUTING.html"} <= pages
    assert {f"project/examples/{path.parent.name}/index.html" for path in PROJECT.glob("examples/*/README.md")} <= pages


def test_the_search_knows_every_page(site: Path) -> None:
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    known = {entry["location"].partition("#")[0] or "index.html" for entry in index["docs"]}
    assert known == {path.relative_to(site).as_posix() for path in read(site)} - {"404.html"}
    assert any("quarantined" in entry["text"] for entry in index["docs"])


def test_a_bar_within_code_of_a_table_is_a_bar(site: Path) -> None:
    page = (site / "reference/commands.html").read_text(encoding="utf-8")
    assert "<code>--stage [Production|Staging]</code>" in page


def test_lists_and_tables_are_read_as_on_github(site: Path) -> None:
    """mkdocs wants an empty line before a list, and GitHub does not: a paragraph with lines of a list is a mistake."""
    for path in read(site):
        paragraphs = re.findall(r"<p>(.*?)</p>", path.read_text(encoding="utf-8"), re.DOTALL)
        assert [text for text in paragraphs if re.search(r"^(?:[-*|] |\d+\. )", text, re.MULTILINE)] == [], path.name


def test_a_dead_link_an_anchor_and_a_foreign_style_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html">b</a> <a href="#there">there</a> <a href="#here">.')
    (tmp_path / "c.html").write_text('<img src="//other.org/a.png"> <a href="a.html#here">a</a> <a href="a.html#no">')
    (tmp_path / "a.css").write_text("@import 'https://fonts.example.org/x'; p { background: url(a.png) }")
    assert dead(tmp_path) == ["a.html: #there", "a.html: b.html", "c.html: a.html#no"]
    assert loaded_from_elsewhere(tmp_path) == ["c.html: //other.org/a.png", "a.css: https://fonts.example.org/x"]
