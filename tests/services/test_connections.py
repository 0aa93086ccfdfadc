"""How many connections to Postgres a command makes, counted by Postgres itself."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import yaml

from lockgate.operations.workspace import Workspace
from lockgate.stack import embedded_postgres

DATABASE = embedded_postgres.DATABASE


@pytest.fixture
def connections(psql: Callable[..., str]) -> Iterator[Callable[[], int]]:
    """The number of Lockgate's connections to the stack's database since the fixture was made."""
    psql(
        """
        CREATE TABLE public.logins (name text);
        GRANT INSERT ON public.logins TO public;
        CREATE FUNCTION public.note_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF current_setting('application_name') LIKE 'lockgate pid %' THEN
                INSERT INTO public.logins VALUES (current_setting('application_name'));
            END IF;
        END $$;
        CREATE EVENT TRIGGER note_login ON login EXECUTE FUNCTION public.note_login();
        """,
        DATABASE,
    )
    yield lambda: int(psql("SELECT count(*) FROM public.logins", DATABASE))
    psql("DROP EVENT TRIGGER note_login; DROP FUNCTION public.note_login; DROP TABLE public.logins", DATABASE)


def test_a_forecast_takes_one_connection(backend: Workspace, validated, build, connections, tmp_path) -> None:
    verdict = validated()
    folder = build(1).build.parent
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    settings["problem"]["name"] = backend.model.removesuffix("-ensemble")
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    holdout = folder / "data" / "prepared" / "holdout.parquet"
    services = {
        "MLFLOW_TRACKING_URI": backend.addresses.tracking_uri,
        "LOCKGATE_DATABASE_URL": backend.addresses.database_url,
    }
    before = connections()
    words = ["predict", "--input", str(holdout), "--output", str(tmp_path / "f.csv"), "--version", str(verdict.version)]
    words.append("--no-log")  # the log takes further ones
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", *words], cwd=folder, env=os.environ | services, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert connections() - before == 1
