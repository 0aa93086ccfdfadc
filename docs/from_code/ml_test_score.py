"""The ML Test Score: 28 tests of Breck et al. (2017), with what proves each of them, from docs/ml_test_score.yaml."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from from_code.tables import table

FILE = Path(__file__).parents[1] / "ml_test_score.yaml"
POINTS = {"automated": 1.0, "manual": 0.5, "no": 0.0}
# The scale of the paper: a score up to this number means this.
SCALE = {
    0.0: "more of a research project than a productionized system",
    1.0: "not totally untested, but with serious holes in reliability to look for",
    2.0: "a first pass at basic productionization",
    3.0: "reasonably tested, with more to automate",
    5.0: "strong levels of automated testing and monitoring, appropriate for mission-critical systems",
    28.0: "exceptional levels of automated testing and monitoring",
}


@dataclass(frozen=True)
class Proof:
    """What proves a test: a pytest test, a command, or a file of the project."""

    kind: str
    name: str


@dataclass(frozen=True)
class Asked:
    """One of the 28 tests: what it asks for, how far it is done, how, and what proves it."""

    asks: str
    done: str
    how: str
    proofs: tuple[Proof, ...]

    @property
    def points(self) -> float:
        """1 for an automated test, 0.5 for a manual one, 0 for none."""
        return POINTS[self.done]


@cache
def sections() -> dict[str, tuple[Asked, ...]]:
    """The tests of each section, in the order of the paper."""
    found = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {section["section"]: tuple(_asked(each) for each in section["tests"]) for section in found}


def _asked(given: dict[str, object]) -> Asked:
    proofs = [(kind, name) for proof in given["proofs"] for kind, name in proof.items()]  # type: ignore[attr-defined]
    done = "no" if given["done"] is False else str(given["done"])  # YAML reads no as false
    return Asked(str(given["asks"]), done, str(given["how"]).strip(), tuple(Proof(*each) for each in proofs))


def score(section: str) -> float:
    """The points of a section, of 7."""
    return sum(asked.points for asked in sections()[section])


def total() -> float:
    """The final score: that of the weakest section."""
    return min(map(score, sections()))


def meaning(points: float) -> str:
    """What a final score means, in the words of the paper."""
    return next(text for most, text in SCALE.items() if points <= most)


def summary() -> str:
    """The score of each section, and the final one."""
    rows = [
        (name, *(str(sum(each.done == done for each in asked)) for done in POINTS), f"{score(name):g} of 7")
        for name, asked in sections().items()
    ]
    final = f"**Final score: {total():g}**, that of the weakest section: {meaning(total())}."
    return table(("section", "automated", "manual", "not done", "score"), rows) + f"\n\n{final}"


def details() -> str:
    """A table for each section: what is asked, the points, how it is done, and the proofs."""
    return "\n\n".join(f"## {name}: {score(name):g} of 7\n\n{_rows(asked)}" for name, asked in sections().items())


def _rows(asked: tuple[Asked, ...]) -> str:
    rows = [(each.asks, f"{each.points:g}", f"{each.how} Proof: {_listed(each.proofs)}.") for each in asked]
    return table(("test", "points", "how"), rows)


def _listed(proofs: tuple[Proof, ...]) -> str:
    return ", ".join(_shown(proof) for proof in proofs) or "none"


def _shown(proof: Proof) -> str:
    """A test by its name, without its file; a page as a link; a command or another file as it is."""
    if proof.kind == "test":
        return f"`{proof.name.rpartition('/')[2]}`"
    if proof.name.startswith("docs/"):
        return f"[{proof.name}](../{proof.name.removeprefix('docs/')})"
    return f"`{proof.name}`"
