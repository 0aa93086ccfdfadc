"""`make reference`: write the marked parts of all pages under docs."""

from pathlib import Path

from from_code.blocks import filled

DOCS = Path(__file__).parents[1]

for path in sorted(DOCS.rglob("*.md")):
    page = path.read_text(encoding="utf-8")
    if (renewed := filled(page)) != page:
        path.write_text(renewed, encoding="utf-8")
        print(path.relative_to(DOCS.parent))
