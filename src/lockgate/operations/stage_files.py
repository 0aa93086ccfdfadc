"""The files that the pipeline's stages exchange: build folder, prepared folder, receipt."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Build:
    """The folders of `prepare` and `train`, and the files in them that the later stages read."""

    prepared: Path
    build: Path

    @property
    def bundle(self) -> Path:
        """The fitted forecaster."""
        return self.build / "bundle"

    @property
    def plots(self) -> Path:
        """The plots of the training and of the holdout."""
        return self.build / "plots"

    @property
    def tables(self) -> Path:
        """Tables for the run, under names that explain themselves."""
        return self.build / "tables"

    @property
    def report(self) -> Path:
        """The report of the verdict."""
        return self.build / "report"

    @property
    def lineage(self) -> Path:
        """Copies of what the bundle was made from: params, data card, dvc.lock."""
        return self.build / "lineage"


@dataclass(frozen=True)
class Receipt:
    """The result of the register stage: the version that holds the bundle."""

    model: str
    version: int
    run_id: str
    bundle_digest: str

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """Read a receipt that `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """Write the receipt as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
