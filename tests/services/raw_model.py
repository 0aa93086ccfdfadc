"""A model that is moved by plain HTTP, as the UI and curl do; its verdicts are written by hand."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from lockgate import digests
from lockgate.database import coverage, intents, ledger, policies, verdicts, versions
from lockgate.database.connection import Database
from lockgate.database.intents import Intent
from lockgate.database.verdicts import Digests, StoredVerdict, Verdict
from lockgate.database.versions import Registration
from lockgate.gate.verdict import policy_digest
from lockgate.problem.params import Policy, load_params
from lockgate.system.service_urls import Addresses

PROJECT = Path(__file__).parents[2]
POLICY = load_params(PROJECT / "params.yaml").policy.model_copy(update={"min_scored_rows": 1})
counter = itertools.count(1)


@dataclass
class RawModel:
    """One registered model on a real MLflow server."""

    where: Addresses
    database: Database
    name: str = field(default_factory=lambda: f"raw-{next(counter)}")
    policy: Policy = POLICY
    is_prompt: bool = False
    is_covered: bool = True

    def __post_init__(self) -> None:
        tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}] if self.is_prompt else []
        self.ask("POST", "registered-models/create", name=self.name, tags=tags)
        policies.put_in_force(self.database, self.name, self.policy, "paul")
        if self.is_covered:
            coverage.cover(self.database, self.name, "paul")

    def ask(self, method: str, path: str, **values: Any) -> requests.Response:
        """One call of MLflow's REST API."""
        return requests.request(method, f"{self.where.tracking_uri}/api/2.0/mlflow/{path}", json=values, timeout=60)

    def add(self) -> int:
        """A version that came past Lockgate."""
        run = self.ask("POST", "runs/create", experiment_id="0").json()["run"]["info"]
        source = f"{run['artifact_uri']}/model"
        answer = self.ask("POST", "model-versions/create", name=self.name, source=source, run_id=run["run_id"])
        return int(answer.json()["model_version"]["version"])

    def register(self) -> int:
        """A version that is known to Lockgate, without a verdict."""
        version = self.add()
        run_id = next(row.run_id for row in versions.stages(self.database, self.name) if row.version == version)
        versions.record_version(self.database, Registration(self.name, version, self.digest(version), run_id or "", {}))
        return version

    def judge(self, version: int, outcome: str = "passed", against: int | None = None) -> StoredVerdict:
        """Put a verdict on record, under the policy in force, against the version that is said to serve."""
        serving = self.digest(against) if against else None
        bound_to = Digests(self.digest(version), "b" * 64, policy_digest(self.policy), serving)
        checks = [{"name": "limit", "outcome": outcome, "says": "measured"}]
        metrics = {"rmspe": 0.09}
        return verdicts.record_verdict(
            self.database, Verdict(self.name, version, bound_to, outcome, checks, metrics, "c0ffee", "vera")
        )

    def candidate(self, against: int | None = None) -> int:
        """A version with a passed verdict, in Staging."""
        version = self.register()
        self.judge(version, against=against)
        assert self.transition(version, "Staging").status_code == 200
        return version

    def serving(self) -> int:
        """A version in Production."""
        version = self.candidate()
        assert self.transition(version, "Production").status_code == 200
        return version

    def digest(self, version: int) -> str:
        """A bundle digest of its own for each version."""
        return digests.of_json([self.name, version])

    def transition(self, version: int, stage: str, archive: bool = False) -> requests.Response:
        """What the stage drop-down of the UI sends; its box that archives is not ticked by default."""
        return self.ask(
            "POST", "model-versions/transition-stage",
            name=self.name, version=str(version), stage=stage, archive_existing_versions=archive,
        )  # fmt: skip

    def tag(self, version: int, key: str, value: str) -> requests.Response:
        """What a reviewer does on the version's page."""
        return self.ask("POST", "model-versions/set-tag", name=self.name, version=str(version), key=key, value=value)

    def stages(self) -> dict[int, str]:
        """Who is where now."""
        return {row.version: row.stage for row in versions.stages(self.database, self.name)}

    def ledger_rows(self) -> list[tuple[int, str, str, str, str]]:
        """The ledger: version, from, to, command, actor."""
        rows = ledger.read(self.database, self.name)
        return [(row.version, row.from_stage, row.to_stage, row.command, row.actor) for row in rows]

    def announce(self, version: int, to: str, command: str, actor: str = "anna") -> int:
        """An intent, as the CLI writes it before it asks MLflow."""
        stage = self.stages()[version]
        return intents.open_intent(self.database, Intent(self.name, version, stage, to, actor, "because", command))


def said(refusal: requests.Response) -> tuple[int, str, str]:
    """Status, sentence and hint of a refusal."""
    sentence, hint = refusal.json()["message"].splitlines()
    assert sentence.startswith("Refused by the gate: ")
    assert hint.startswith("What to do: ")
    return refusal.status_code, sentence.partition(": ")[2].removesuffix("."), hint.partition(": ")[2]
