"""Small projects that the stage scripts have trained, by seed."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import made_once
import yaml

PROJECT = Path(__file__).parents[1]
SMALL = {"seed": 7, "stores": 12, "days": 500, "noise": 0.04}


def folder_of(seed: int) -> Path:
    """The project that is trained with this seed."""
    return made_once.folder(f"seed {seed}", partial(_train, seed), Path(__file__).name)


def _train(seed: int, folder: Path) -> None:
    params = yaml.safe_load((PROJECT / "params.yaml").read_text())
    params |= {"seed": seed, "threads": 1, "source": "generated", "generator": SMALL}
    params["training"]["max_rounds"] = 30
    params["gate"]["min_scored_rows"] = 100
    (folder / "data" / "raw").mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for words in (["prepare.py", "data/raw", "data/prepared"], ["train.py", "data/prepared", "build"]):
        command = [sys.executable, str(PROJECT / "pipelines" / words[0]), *words[1:]]
        subprocess.run(command, cwd=folder, check=True, timeout=600, capture_output=True)
