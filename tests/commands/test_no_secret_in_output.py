"""No command shows a password or a token: not in messages, tracebacks, reports of bugs, results or `lockgate env`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SECRET = "S3cretWord"
DATABASES = {
    "of a user": f"postgresql+psycopg2://u:{SECRET}@127.0.0.1:9/db",
    "in a parameter": f"postgresql+psycopg2://u@127.0.0.1:9/db?password={SECRET}",
    "not encoded": f"postgresql+psycopg2://u:{SECRET}/x?y@127.0.0.1/db",
    "of another kind": f"mysql://u:{SECRET}@127.0.0.1/db",
}
COMMANDS = ["status", "doctor", "env", "verdict 1", "promote 1 --reason x --yes"]


@pytest.mark.parametrize(("database", "command"), list(zip([*DATABASES, "of a user"], COMMANDS, strict=True)))
def test_no_command_shows_a_password_or_a_token(tmp_path: Path, database: str, command: str) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((PROJECT / name).read_bytes())
    (tmp_path / "tmp").mkdir()
    variables = {
        "LOCKGATE_DATABASE_URL": DATABASES[database],
        "MLFLOW_TRACKING_URI": f"http://me:{SECRET}@127.0.0.1:9",
        "MLFLOW_TRACKING_TOKEN": SECRET,
        "MLFLOW_TRACKING_PASSWORD": SECRET,
        "PGPASSWORD": SECRET,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "LOCKGATE_TIMEOUT": "1",
        "TMPDIR": str(tmp_path / "tmp"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", *command.split(), "--debug", "--result-json", "result.json"],
        cwd=tmp_path, env=os.environ | variables, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    written = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    shown = done.stdout + done.stderr + written
    if command == "env":  # its purpose is to hand on both addresses; of the database, it gives no password of its own
        shown = "".join(line for line in shown.splitlines() if not line.startswith("export "))
    assert SECRET not in shown, done.stderr
    assert done.returncode in (0, 5, 6, 8)
