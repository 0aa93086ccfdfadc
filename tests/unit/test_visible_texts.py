"""Texts of other users, files and servers are shown with their invisible characters as escapes, at every door."""

import sys

import pytest

from lockgate.cli import common_options
from lockgate.errors import StateConflict
from lockgate.reports import review_markdown
from lockgate.reports.page import templates
from lockgate.serving import messages
from lockgate.system import exit_codes
from lockgate.system.exit_codes import Session
from lockgate.system.readable_line import visible

BAD = {
    "red and a title": ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
    "8-bit control": ("\x9b2J", r"\x9b2J"),
    "over the line": ("good\rbad", r"good\rbad"),
    "backwards": ("user\u202etxt.exe", r"user\u202etxt.exe"),
    "isolate": ("\u2066a\u2069", r"\u2066a\u2069"),
    "zero width": ("pay\u200bpal", r"pay\u200bpal"),
    "line of Unicode": ("a\u2028error: b", r"a\u2028error: b"),
    "backspace": ("safe\b\b\b\bevil", r"safe\x08\x08\x08\x08evil"),
    "half of a pair": ("\ud800", r"\ud800"),
    "tag characters": ("a\U000e0041", r"a\U000e0041"),
}
bad = pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)


@bad
def test_an_invisible_character_is_shown_as_its_escape(text: str, expected: str) -> None:
    assert visible(text) == expected


@pytest.mark.parametrize("text", ["", "plain", "Žluťoučký 中文 ✓ €", "two\nlines\tand a tab", r"\x1b"])
def test_every_other_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@bad
def test_tables_lines_and_refusals_are_visible(
    text: str, expected: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    common_options.table([f"head {text}"], [[text]])
    common_options.say(text)
    common_options.tell(text)
    messages.tell(text)

    def refuse() -> None:
        raise StateConflict(text, where=text, hint=text)

    exit_codes.run(refuse, Session(debug=True))
    found = capsys.readouterr()
    assert not set(text) - set(expected) & set(found.out + found.err)
    assert found.out.count(expected) == 3
    assert found.err.count(expected) >= 5


@bad
def test_pages_show_them_too_and_markup_stays_text(text: str, expected: str) -> None:
    page = templates("lockgate.reports").from_string("<p>{{ name }}</p>{{ drawn | safe }}{{ 1.5 }}")
    shown = page.render(name=f"<b>{text}", drawn="<svg>\n</svg>")
    assert shown == f"<p>&lt;b&gt;{expected.replace('>', '&gt;')}</p><svg>\n</svg>1.5"


@bad
def test_markdown_has_none_of_them(text: str, expected: str) -> None:
    assert review_markdown.escaped(text).isprintable()


def test_json_escapes_all_that_is_not_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    common_options.print_json({text: text for text, _ in BAD.values()})
    assert capsys.readouterr().out.replace("\n", "").isprintable()
    sys.stdout.flush()
