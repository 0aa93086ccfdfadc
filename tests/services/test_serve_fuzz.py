"""The generated OpenAPI is fuzzed: the server answers each request, one that fits it and one that does not, with no 5xx
and in a documented form."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import served_versions
import serving_process
import trained_projects
from hypothesis import HealthCheck, Phase, given, settings
from serving_process import Serving, serving

from lockgate.database.connection import Database
from lockgate.operations.workspace import Workspace
from lockgate.system.service_urls import Addresses

EXAMPLES = 25  # of each operation and way


@pytest.fixture(scope="module")
def server(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    workspace = Workspace("fuzzed-ensemble", stack, Database(stack.database_url), "anna", 10.0)
    served_versions.put_in_production(workspace, 1)
    params = trained_projects.folder_of(1) / "params.yaml"
    with serving(workspace, serving_process.folder_for(workspace, params, Path(tmp_path_factory.mktemp("f")))) as found:
        yield found


@pytest.mark.parametrize("fits", [True, False])
def test_no_request_gets_a_5xx_and_each_answer_is_in_a_documented_form(server: Serving, fits: bool) -> None:
    import schemathesis

    schema = schemathesis.openapi.from_dict(server.get("/openapi.json").json)
    base = f"http://127.0.0.1:{server.port}"
    mode = schemathesis.GenerationMode.POSITIVE if fits else schemathesis.GenerationMode.NEGATIVE
    for found in schema.get_all_operations():
        operation = found.ok()
        if not fits and operation.method == "get":
            continue

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: schemathesis.Case) -> None:
            answer = case.call(base_url=base)
            assert answer.status_code < 500, answer.content
            case.validate_response(answer, checks=[schemathesis.checks.response_schema_conformance])

        ask()
    assert server.get("/health").json["ready"]
