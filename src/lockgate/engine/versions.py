"""The versions on which results depend, in this process; a worker with others would compute other results."""

import hashlib
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lockgate

# The distributions that compute or move data. On Linux, the distribution xgboost-cpu has the module xgboost.
LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "lightgbm",
    "xgboost",
    "xgboost-cpu",
    "catboost",
    "scikit-learn",
    "dask",
    "distributed",
)
NONE = "none"
CODE_DIGITS = 12


@lru_cache(maxsize=1)
def found() -> dict[str, str]:
    """The version of Python, of Lockgate and its code, and of each library; `none` for a library that is missing.

    A process is asked once: later changes of the files are not in the code that it has loaded.
    """
    libraries = {name: _installed(name) for name in LIBRARIES}
    return {
        "Python": platform.python_version(),
        "lockgate": lockgate.__version__,
        "code of lockgate": _code(),
    } | libraries


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """A text for each name with another version there: `numpy 2.3.1, here 2.3.0`."""
    return [
        f"{name} {theirs.get(name, NONE)}, here {own}" for name, own in ours.items() if theirs.get(name, NONE) != own
    ]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NONE


def _code() -> str:
    """A digest of the modules of this package."""
    folder, total = Path(lockgate.__file__).parent, hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()[:CODE_DIGITS]
