"""The inputs of a sweep: params.yaml, the search space and the prepared tables. The holdout is not read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lockgate import digests
from lockgate.data import dataset
from lockgate.data.data_card import read_card
from lockgate.features import declared
from lockgate.operations.settings_digest import settings_digest
from lockgate.problem import search_space
from lockgate.problem.params import PARAMS_FILE, Params, params_of, read_document
from lockgate.problem.search_space import Document, Settings, Space
from lockgate.training.inner_score import Tables

PLANNED = {"problem", "seed", "profile", "members", "training", "fast"}  # keys whose change makes another sweep


@dataclass(frozen=True)
class Setup:
    """params.yaml as it is written and in force, the search space, and where the prepared tables are."""

    params_file: Path
    prepared: Path
    document: Document
    params: Params
    space: Space
    rows_digest: str

    @classmethod
    def of(cls, prepared: Path, params_file: Path = PARAMS_FILE) -> "Setup":
        """Read and check params.yaml and the data card. Raises BadConfiguration, and IntegrityBroken for the card."""
        document = read_document(params_file)
        params, card = params_of(document, params_file), read_card(prepared)
        space = search_space.space_of(document, int(card["rows"]["count"]), params_file)
        features = space.get("problem.features")
        for value in features.ends if features else ():
            declared.check(search_space.params_with(document, {"problem.features": value}, params_file).problem)
        rows_digest = digests.of_json([card["rows"]["digest"], card["static"]["digest"]])
        return cls(params_file, prepared, document, params, space, rows_digest)

    @property
    def plan(self) -> dict[str, Any]:
        """What makes trials comparable: a sweep goes on only with the same."""
        written = Params.model_validate(self.document).model_dump(mode="json", include=PLANNED)
        return {
            "space": search_space.as_json(self.space),
            "seed": self.params.seed,
            "rows_digest": self.rows_digest,
            "settings": digests.of_json(written),
        }

    def present(self) -> dict[str, Any]:
        """The present value of each searched key."""
        return {name: search_space.present(self.document, name) for name in self.space}

    def params_with(self, settings: Settings) -> Params:
        """The params in force of a trial. Raises BadConfiguration."""
        return search_space.params_with(self.document, settings, self.params_file)

    def settings_digest(self, settings: Settings) -> str:
        """The digest by which the run of a version finds the trial that had its settings."""
        return settings_digest(Params.model_validate(search_space.changed(self.document, settings)))

    def tables(self) -> Tables:
        """The rows to train on, and the static features."""
        return Tables(dataset.read(self.prepared, "rows"), dataset.read(self.prepared, "static"), self.rows_digest)
