"""Tables policies and policy_changes: which limits are in force for a model, since when, and who set them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from lockgate.database.connection import Database, with_json, with_retries
from lockgate.gate.checks import CHECKS
from lockgate.gate.verdict import policy_digest
from lockgate.problem.params import Policy

INSERT_POLICY = """
    INSERT INTO lockgate.policies (digest, limits, checks, approval_required, two_persons, verdict_valid_days)
    VALUES (:digest, :limits, :checks, :approval_required, :two_persons, :verdict_valid_days)
    ON CONFLICT DO NOTHING
"""
CHANGE_POLICY = """
    INSERT INTO lockgate.policy_changes (model, policy_digest, actor)
    SELECT :model, :digest, :actor
    WHERE (lockgate.policy_in_force(:model)).digest IS DISTINCT FROM :digest
"""
SELECT_TRUSTED_KEYS = """
    SELECT jsonb_array_elements_text((lockgate.policy_in_force(:model)).limits -> 'trusted_keys')
"""
SELECT_CHANGES = """
    SELECT change.policy_digest, policy.limits, change.actor, change.at
    FROM lockgate.policy_changes AS change
    JOIN lockgate.policies AS policy ON policy.digest = change.policy_digest
    WHERE change.model = :model
    ORDER BY change.id
"""


@dataclass(frozen=True)
class PolicyChange:
    """From this moment on the model is judged by these limits, in this metric (RMSPE where the limits name none)."""

    policy_digest: str
    limits: dict[str, float | bool | str | list[str]]
    actor: str
    at: datetime


@with_retries
def put_in_force(database: Database, model: str, policy: Policy, actor: str) -> str:
    """Judge the model by this policy from now on; nothing is written if it is in force already. Gives its digest."""
    digest = policy_digest(policy)
    terms = {
        "digest": digest,
        "limits": policy.model_dump(),
        "checks": list(CHECKS),
        "approval_required": policy.approval_required,
        "two_persons": policy.two_persons,
        "verdict_valid_days": policy.verdict_valid_days,
    }
    with database.transaction() as connection:
        connection.execute(with_json(INSERT_POLICY, "limits", "checks"), terms)
        connection.execute(text(CHANGE_POLICY), {"model": model, "digest": digest, "actor": actor})
    return digest


@with_retries
def trusted_keys(database: Database, model: str) -> list[str]:
    """The keys that the policy in force trusts; none if it asks for no signature, or if there is no policy yet."""
    with database.transaction() as connection:
        return list(connection.execute(text(SELECT_TRUSTED_KEYS), {"model": model}).scalars())


@with_retries
def changes(database: Database, model: str) -> list[PolicyChange]:
    """Every policy that was brought into force, oldest first."""
    with database.transaction() as connection:
        return [PolicyChange(*row) for row in connection.execute(text(SELECT_CHANGES), {"model": model})]
