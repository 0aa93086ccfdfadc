"""The lineage of a bundle: git commit, uncommitted changes, dvc.lock, data digests; `unknown` where it is unknown."""

import shutil
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from lockgate import digests

GIT_SECONDS = 5
UNKNOWN = "unknown"

# The packages that a forecast needs. On Linux, the distribution xgboost-cpu has the module xgboost.
INFERENCE_PACKAGES = (
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "threadpoolctl",
    "lightgbm",
    "catboost",
    "xgboost-cpu",
    "xgboost",
    "scikit-learn",
    "skops",
    "onnx",
    "onnxruntime",
    "holidays",
)


@dataclass(frozen=True)
class Lineage:
    """The sources of one bundle; digests are SHA-256."""

    git_commit: str
    git_dirty: bool | None
    dvc_lock_digest: str
    rows_digest: str
    holdout_digest: str
    seed: int

    def as_tags(self) -> dict[str, str]:
        """The lineage as flat texts, for tags."""
        return {name: str(value) for name, value in asdict(self).items()}


def git_commit(folder: Path) -> str:
    """The checked-out commit; `unknown` without git or outside a repository."""
    return _git(folder, "rev-parse", "HEAD") or UNKNOWN


def git_dirty(folder: Path) -> bool | None:
    """Whether tracked files, except dvc.lock, differ from the commit; None if that is unknown.

    `dvc repro` itself writes dvc.lock; the lineage has the digest of its content.
    """
    status = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)dvc.lock")
    return None if status is None else bool(status)


def digest_or_unknown(path: Path) -> str:
    """SHA-256 of a file; `unknown` if it does not exist."""
    return digests.of_file(path) if path.is_file() else UNKNOWN


def pinned_requirements() -> list[str]:
    """The packages that a forecast needs, with their exact versions in this environment."""
    return [f"{name}=={found}" for name in INFERENCE_PACKAGES if (found := _installed(name))]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except ModuleNotFoundError:
        return None


def _git(folder: Path, *words: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program with fixed words
            [program, "-C", str(folder), *words], capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
