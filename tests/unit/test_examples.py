"""Each folder of examples/ is a problem folder as `lockgate init` writes it, and generates a look-alike of its data."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.problem.params import load_params

PROJECT = Path(__file__).parents[2]
WRITTEN_BY_INIT = PROJECT / "src/lockgate/describe/templates/pipeline.yaml"
LARGEST_PICTURE = 60_000  # bytes
EXAMPLES = sorted(path.parent for path in PROJECT.glob("examples/*/params.yaml"))


def stages(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    return found


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_has_a_valid_description_and_a_model_of_its_own(folder: Path) -> None:
    assert load_params(folder / "params.yaml").model_name == f"{folder.name}-ensemble"


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_the_stages_of_an_example_are_those_that_init_writes(folder: Path) -> None:
    keys = ("cmd", "deps", "params", "outs", "metrics", "always_changed")
    written, found = ({name: {key: stage.get(key) for key in keys} for name, stage in stages(path).items()}
                      for path in (WRITTEN_BY_INIT, folder / "dvc.yaml"))  # fmt: skip
    assert found == written


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_every_param_of_a_stage_is_in_the_file(folder: Path) -> None:
    """DVC does not run a stage without them."""
    named = {key for stage in stages(folder / "dvc.yaml").values() for key in stage["params"]}
    assert named - set(yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_explains_itself_and_generates_its_data(folder: Path) -> None:
    assert {"README.md", "generate.py", ".dvc"} <= {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_shows_one_small_picture(folder: Path) -> None:
    pictures = list(folder.glob("*.png"))
    assert [f"({path.name})" in (folder / "README.md").read_text(encoding="utf-8") for path in pictures] == [True]
    assert pictures[0].stat().st_size < LARGEST_PICTURE
