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
    def holdout_plot(self) -> Path:
        """The plot of the candidate's forecasts of the holdout."""
        return self.build / "plots" / "holdout.png"


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
