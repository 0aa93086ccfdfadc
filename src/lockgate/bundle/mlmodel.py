"""An MLflow model's folder: which files it may have, which keys MLmodel may have, and the reader of MLmodel.

`registered_files` checks the folder of a registered version by these lists, `external_mlmodel` an external model.
"""

from pathlib import Path
from typing import Any

from lockgate.system import safe_files, strict_yaml

MLMODEL = "MLmodel"
MODEL_FILE = Path(__file__).parents[1] / "registry" / "mlflow_model.py"
BESIDE_BUNDLE = {
    "conda.yaml",
    "python_env.yaml",
    "requirements.txt",
    "input_example.json",
    "serving_input_example.json",
}
BUNDLE = "artifacts/bundle"
WRITTEN_BY_DOWNLOAD = "registered_model_meta"  # MLflow's client writes it beside the fetched files
LARGEST_AROUND = 1 << 20

# An unknown key is refused: MLflow runs code by some of them (loader_module, code, other flavors).
TOP_KEYS = {
    "artifact_path", "flavors", "is_signature_from_type_hint", "mlflow_version", "model_id", "model_size_bytes",
    "model_uuid", "prompts", "run_id", "saved_input_example_info", "signature", "type_hint_from_example",
    "utc_time_created",
}  # fmt: skip


def read(path: Path) -> Any:
    """The value in the file MLmodel. Raises strict_yaml.Malformed, and IntegrityBroken for a file that is not plain."""
    return strict_yaml.parse(safe_files.read(path, LARGEST_AROUND))
