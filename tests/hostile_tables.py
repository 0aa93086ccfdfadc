"""A table with hostile names and values."""

import csv
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path

OWN = re.compile("data:image/png;base64,|/(?!/)")
ESCAPE, BACKWARDS, SEPARATOR = "\x1b[2J\x1b]0;owned\x07", "\u202egnp.exe", "y\u2028gate: {limit: 99}"
COLUMNS: Mapping[str, Callable[[int], object]] = {
    "id": lambda row: row,
    '=HYPERLINK("http://evil.example")': lambda row: ["=1+1", "@SUM(1)", "+1"][row % 3],
    r"a$\frac{b$": lambda row: [r"$\int$", "$x_{$"][row % 2],
    "<script>alert(1)</script>": lambda row: (row * 7919) % 101 / 7,
    ESCAPE: lambda row: [ESCAPE, "calm"][row % 2],
    BACKWARDS: lambda row: [BACKWARDS, "forwards"][row // 2 % 2],
    "'; DROP TABLE ledger;--": lambda row: "ab"[row % 2],
    "lines": lambda row: ["x    limit: 99 # y", SEPARATOR][row // 3 % 2],
    "{{ 7 * 7 }}": lambda row: ["{% for %}", "{{ self }}"][row % 2],
    "../../up": lambda row: ["../../etc/passwd", "C:\\x"][row // 5 % 2],
    "target": lambda row: ["<img src=x onerror=alert(1)>", f"no{BACKWARDS}"][row % 7 < 3],
}


def write(path: Path, rows: int = 300) -> None:
    """Write the table as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        cells = ([value(row) for value in COLUMNS.values()] for row in range(rows))
        csv.writer(file, lineterminator="\n").writerows([list(COLUMNS), *cells])


def is_visible(text: str) -> bool:
    """Whether the text has no invisible character but line ends."""
    return text.replace("\n", "").isprintable()


class _Elements(HTMLParser):
    """Gathers the elements that could run code, or load something from elsewhere than the page or this server."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        elsewhere = tag == "img" and not OWN.match(given.get("src", ""))
        runs = any(name.startswith("on") or value.startswith("javascript:") for name, value in given.items())
        if tag in ("script", "iframe", "object", "embed", "b") or elsewhere or runs:
            self.found.append(str(self.get_starttag_text())[:80])


def markup_in(page: str) -> list[str]:
    """The elements of a page that could run code or load something from elsewhere."""
    parser = _Elements()
    parser.feed(page)
    return parser.found
