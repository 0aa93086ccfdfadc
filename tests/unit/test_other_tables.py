"""Names of Rossmann's columns are in one module of its own features, and in YAML, and nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from lockgate.problem.params import load_params

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "src" / "lockgate"
OWN = "features/store_panel/rossmann.py"
WORDS = re.compile(r"Kaggle|\b(?:Store|Sales|Promo)\b")
OTHER_MEANINGS = {"Date"}  # a key of a PNG's metadata


def names_rossmann(path: Path, columns: set[str]) -> bool:
    """Whether a module names a column: as a word that stands for Rossmann, or as a text."""
    text = path.read_text(encoding="utf-8")
    nodes = ast.walk(ast.parse(text)) if path.suffix == ".py" else ()
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return bool(WORDS.search(text) or texts & columns)


def naming_rossmann() -> Iterator[str]:
    columns = set(load_params(PROJECT / "params.yaml").problem.columns) - OTHER_MEANINGS
    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix in (".py", ".j2", ".sql", ".yaml") and names_rossmann(path, columns):
            yield path.relative_to(PACKAGE).as_posix()


def test_no_other_module_names_a_column_of_rossmann() -> None:
    assert list(naming_rossmann()) == [OWN]
