"""One self-contained HTML file: no network, no script; every inserted text is escaped here."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

# Nothing is loaded and nothing runs, whatever a text manages to smuggle in.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c1f24; --muted: #5a626d; --line: #d5dae0; --band: #f4f6f8;
  --first: #0b62b8; --second: #c2410c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181c; --ink: #e8eaed; --muted: #a3abb5; --line: #363c44; --band: #1d2126;
    --first: #6db3ff; --second: #ff9a5c;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 78rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.25; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.2rem; }
p, ul { max-width: 46rem; overflow-wrap: anywhere; }
ul { padding-left: 1.2rem; }
.table { overflow-x: auto; margin: 1rem 0; }
.table:focus-visible, summary:focus-visible { outline: 2px solid var(--first); outline-offset: 2px; }
table { width: max-content; border-collapse: collapse; font-size: .9rem; }
caption { padding: .25rem 0; text-align: left; color: var(--muted); }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
tbody th { font-weight: 400; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td, tbody th { max-width: 24rem; overflow-wrap: break-word; }
tbody tr:hover { background: var(--band); }
summary { cursor: pointer; color: var(--muted); }
.beside { display: grid; gap: 1rem 2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
.beside > * { min-width: 0; }
figure { margin: 1rem 0; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: .9rem; color: var(--muted); }
@media print { body { max-width: none; } }
"""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""

IDS = re.compile(r'(\bid="|\bhref="#|url\(#)')


@dataclass(frozen=True)
class Html:
    """Markup. What is no Html is text."""

    markup: str


def page(title: str, parts: Iterable[Html]) -> str:
    """The whole file."""
    return PAGE.format(policy=POLICY, title=escape(title), style=STYLE, body="\n".join(part.markup for part in parts))


def section(title: str, parts: Iterable[Html]) -> Html:
    """A part of the page with a heading."""
    inner = "\n".join(part.markup for part in parts)
    return Html(f"<section>\n<h2>{escape(title)}</h2>\n{inner}\n</section>")


def bullets(texts: Sequence[str]) -> Html:
    """A list; nothing without texts."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return Html(f"<ul>{items}</ul>" if texts else "")


def folded(summary: str, part: Html) -> Html:
    """A part that its reader may open."""
    return Html(f"<details><summary>{escape(summary)}</summary>\n{part.markup}\n</details>")


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> Html:
    """A table whose first `words` columns are words, the others numbers; the first names the row. Scrolls by itself."""
    head = "".join(_cell("th", text, column >= words, ' scope="col"') for column, text in enumerate(heads))
    body = "\n".join(f"<tr>{_row(row, words)}</tr>" for row in rows)
    inner = f"<caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>"
    return Html(
        f'<div class="table" role="region" tabindex="0" aria-label="{escape(caption)}"><table>\n{inner}\n</table></div>'
    )


def beside(parts: Iterable[Html]) -> Html:
    """Tables or pictures beside each other, as many as the width takes."""
    inner = "\n".join(part.markup for part in parts)
    return Html(f'<div class="beside">\n{inner}\n</div>')


def figure(name: str, svg: str, says: str) -> Html:
    """A picture with a caption that says in words what it shows; `name` keeps its ids apart from other pictures'."""
    apart = IDS.sub(rf"\g<1>{name}-", svg)
    drawn = apart.replace("<svg ", f'<svg role="img" aria-label="{escape(says)}" ', 1)
    return Html(f"<figure>\n{drawn}\n<figcaption>{escape(says)}</figcaption>\n</figure>")


def _row(row: Sequence[str], words: int) -> str:
    first = _cell("th", row[0], words < 1, ' scope="row"')
    return first + "".join(_cell("td", text, column >= words, "") for column, text in enumerate(row[1:], start=1))


def _cell(tag: str, text: str, is_number: bool, scope: str) -> str:
    kind = ' class="number"' if is_number else ""
    return f"<{tag}{scope}{kind}>{escape(text)}</{tag}>"
