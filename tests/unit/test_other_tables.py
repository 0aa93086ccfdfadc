"""Names of Rossmann's columns are in its own features, in its generator, and in YAML, and in no other module."""

import re
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "lockgate"
ROSSMANN = re.compile(r"Kaggle|\b(?:Store|Sales|Promo)(?![a-z])")
OWN = ("features/store_panel", "synthetic")  # Rossmann's feature functions, and the generated chain of stores
TO_BE_FREED = {
    "bundle/external_conversion.py",
    "bundle/external_format.py",
    "forecaster/ensemble.py",
    "forecaster/external.py",
    "forecaster/interface.py",
    "problem/columns.py",
}


def naming_rossmann():
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE).as_posix()
        is_text = path.suffix in (".py", ".j2", ".sql", ".yaml")
        if is_text and not name.startswith(OWN) and ROSSMANN.search(path.read_text(encoding="utf-8")):
            yield name


def test_no_other_module_names_a_column_of_rossmann():
    assert set(naming_rossmann()) - TO_BE_FREED == set()
