"""The human decision: by the command line or by a tag in MLflow, bound to a verdict, asked for by the policy."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from raw_model import POLICY, RawModel, said

from lockgate.database import approvals, ledger, policies
from lockgate.database.connection import Database
from lockgate.errors import StateConflict, WrongUsage
from lockgate.gate.verdict import policy_digest
from lockgate.lifecycle.moves import Move
from lockgate.lifecycle.stages import Command, Stage
from lockgate.operations import promote, retire, review
from lockgate.operations.confirmed_move import MoveRequest
from lockgate.operations.workspace import Workspace
from lockgate.problem.params import Policy
from lockgate.system.service_urls import Addresses

YES = MoveRequest("reviewed", dry_run=False, confirm=lambda move: None)
ASKS = POLICY.model_copy(update={"approval_required": True})
TWO = POLICY.model_copy(update={"approval_required": True, "two_persons": True})
Make = Callable[[Policy], tuple[RawModel, Workspace]]


@pytest.fixture
def make(stack: Addresses) -> Make:
    """A model under a policy with a candidate in Staging that vera validated, and anna's backend."""

    def make(policy: Policy) -> tuple[RawModel, Workspace]:
        model = RawModel(stack, Database(stack.database_url), policy=policy)
        model.candidate()
        return model, Workspace(model.name, stack, model.database, "anna", 10.0)

    return make


def decisions(model: RawModel) -> list[tuple[str, str, str, str]]:
    said = approvals.of_model(model.database, model.name)
    return [(each.decision, each.decided_by, each.recorded_by, each.reason) for each in said]


def tags(model: RawModel, version: int = 1) -> dict[str, str]:
    shown = model.ask("GET", "model-versions/get", name=model.name, version=str(version)).json()["model_version"]
    return {tag["key"]: tag["value"] for tag in shown.get("tags", [])}


def approve_in_the_ui(model: RawModel, by: str = "rita", version: int = 1) -> None:
    assert model.tag(version, "approved_by", by).status_code == 200
    assert model.tag(version, "approval", "approved").status_code == 200


# --- where the policy asks -------------------------------------------------------------------------------------------


def test_without_the_approval_that_the_policy_asks_for_nothing_goes_to_production(make: Make) -> None:
    model, backend = make(ASKS)
    status, sentence, hint = said(model.transition(1, "Production"))
    verdict_id = ledger.read(model.database, model.name)[-1].verdict_id
    assert (status, sentence) == (
        400, f"version 1 of {model.name} stays in Staging: it has no approval on verdict {verdict_id}"
    )  # fmt: skip
    assert "lockgate approve 1" in hint
    assert "approved_by" in hint
    with pytest.raises(StateConflict, match="it has no approval"):
        promote.promote(backend, YES, 1, policy_digest(ASKS), None)
    assert model.stages() == {1: "Staging"}


def test_a_dry_run_says_that_the_approval_is_missing(make: Make) -> None:
    _, backend = make(ASKS)
    with pytest.raises(StateConflict, match="it has no approval"):
        promote.promote(
            backend, MoveRequest("r", dry_run=True, confirm=lambda move: None), 1, policy_digest(ASKS), None
        )


def test_an_approval_by_the_command_line_lets_it_pass_and_stands_in_the_ledger(make: Make) -> None:
    model, backend = make(ASKS)
    done = review.approve(backend, 1, "checked by hand", "rita")
    promote.promote(backend, YES, 1, policy_digest(ASKS), None)
    row = ledger.read(model.database, model.name)[-1]
    assert (row.to_stage, row.approval_id, row.approved_by, row.actor) == ("Production", done.id, "rita", "anna")
    assert decisions(model) == [("approved", "rita", "anna", "checked by hand")]
    assert (tags(model)["approval"], tags(model)["approved_by"]) == ("approved", "rita")


def test_an_approval_by_tag_in_mlflow_lets_it_pass_with_the_tag_of_its_reason(make: Make) -> None:
    model, _ = make(ASKS)
    model.tag(1, "approval_reason", " holidays look right ")
    approve_in_the_ui(model)
    assert decisions(model) == [("approved", "rita", "mlflow", "holidays look right")]
    assert model.transition(1, "Production").status_code == 200
    assert ledger.read(model.database, model.name)[-1].approved_by == "rita"


def test_saying_it_twice_is_one_approval(make: Make) -> None:
    model, backend = make(ASKS)
    assert review.approve(backend, 1, "r", None) == review.approve(backend, 1, "again", None)
    assert len(decisions(model)) == 1


# --- bound to the verdict --------------------------------------------------------------------------------------------


def test_a_new_verdict_needs_a_new_approval_and_takes_the_old_one_off_the_page(make: Make) -> None:
    model, _ = make(ASKS)
    approve_in_the_ui(model)
    model.judge(1)
    assert "it has no approval on verdict" in said(model.transition(1, "Production"))[1]
    assert "approval" not in tags(model)
    approve_in_the_ui(model)
    assert model.transition(1, "Production").status_code == 200
    assert [each[0] for each in decisions(model)] == ["approved", "approved"]


def test_a_tag_taken_away_withdraws_the_approval(make: Make) -> None:
    model, _ = make(ASKS)
    approve_in_the_ui(model)
    model.ask("DELETE", "model-versions/delete-tag", name=model.name, version="1", key="approval")
    assert [each[0] for each in decisions(model)] == ["approved", "withdrawn"]
    assert "it has no approval" in said(model.transition(1, "Production"))[1]


@pytest.mark.parametrize("outcome", ["refused", "inconclusive", None])
def test_what_has_not_passed_cannot_be_approved(stack: Addresses, outcome: str | None) -> None:
    model = RawModel(stack, Database(stack.database_url))
    version = model.register()
    if outcome:
        model.judge(version, outcome)
    model.tag(version, "approved_by", "rita")
    answer = model.tag(version, "approval", "approved")
    why = f"the verdict on it is {outcome}" if outcome else "it has no verdict"
    assert said(answer)[:2] == (400, f"the approval of version 1 of {model.name} is not recorded: {why}")
    with pytest.raises(StateConflict, match=why):
        review.approve(Workspace(model.name, stack, model.database, "anna", 5.0), version, "r", None)
    assert decisions(model) == []


@pytest.mark.parametrize(
    ("value", "by", "says"),
    [
        ("approved", None, "the tag approved_by is missing"),
        ("approved", "  ", "the tag approved_by is missing"),
        ("yes", "rita", "the tag approval is neither approved nor rejected"),
    ],
)
def test_a_tag_that_says_too_little_is_refused_with_what_to_do(
    make: Make, value: str, by: str | None, says: str
) -> None:
    model, _ = make(ASKS)
    if by:
        model.tag(1, "approved_by", by)
    status, sentence, hint = said(model.tag(1, "approval", value))
    assert (status, sentence) == (400, f"the approval of version 1 of {model.name} is not recorded: {says}")
    assert hint.startswith("set the tag")
    assert "approval" not in tags(model)


def test_a_version_that_lockgate_does_not_know_may_have_such_a_tag_of_its_own(make: Make) -> None:
    model, _ = make(ASKS)
    assert model.tag(model.add(), "approval", "whatever").status_code == 200
    assert decisions(model) == []


def test_a_version_in_production_is_past_approval(stack: Addresses) -> None:
    model = RawModel(stack, Database(stack.database_url))
    model.serving()
    backend = Workspace(model.name, stack, model.database, "anna", 5.0)
    for decide in (lambda: review.approve(backend, 1, "r", None), lambda: review.reject(backend, 1, "r")):
        with pytest.raises(StateConflict, match="is in Production"):
            decide()


# --- rejection -------------------------------------------------------------------------------------------------------


def test_reject_records_archives_and_closes_the_way_up(make: Make) -> None:
    model, backend = make(POLICY)
    move = review.reject(backend, 1, "far too low in December")
    assert (move is not None, model.stages()) == (True, {1: "Archived"})
    assert model.ledger_rows()[-1] == (1, "Staging", "Archived", "reject", "anna")
    assert decisions(model) == [("rejected", "anna", "anna", "far too low in December")]
    assert review.reject(backend, 1, "again") is None
    assert len(decisions(model)) == 1


def test_reject_takes_a_version_without_a_verdict_too(stack: Addresses) -> None:
    model = RawModel(stack, Database(stack.database_url))
    model.register()
    review.reject(Workspace(model.name, stack, model.database, "anna", 5.0), 1, "trained on the wrong year")
    assert model.stages() == {1: "Archived"}


def test_a_rejection_by_tag_stops_the_promotion_even_where_no_approval_is_asked_for(make: Make) -> None:
    model, _ = make(POLICY)
    model.tag(1, "approved_by", "rita")
    model.tag(1, "approval_reason", "store 5 is off")
    assert model.tag(1, "approval", "rejected").status_code == 200
    assert said(model.transition(1, "Production"))[1].endswith("stays in Staging: rita rejected it: store 5 is off")
    model.judge(1)
    assert "rita rejected it" in said(model.transition(1, "Production"))[1]
    assert model.tag(1, "approval", "approved").status_code == 200
    assert model.transition(1, "Production").status_code == 200


# --- two persons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("approver", "recorder", "promoter", "passes"),
    [
        ("rita", "rita", "anna", True),
        ("anna", "anna", "anna", False),  # who promotes has approved
        ("vera", "vera", "anna", False),  # who validated has approved
        ("rita", "anna", "anna", False),  # who promotes says that rita has approved
        ("Vera", "rita", "anna", False),
    ],
)
def test_the_two_person_rule_wants_an_approver_who_neither_validated_nor_promotes(
    make: Make, approver: str, recorder: str, promoter: str, passes: bool
) -> None:
    model, backend = make(TWO)
    desk = Workspace(model.name, backend.addresses, model.database, recorder, 10.0)
    review.approve(desk, 1, "r", approver)
    person = Workspace(model.name, backend.addresses, model.database, promoter, 10.0)
    if passes:
        promote.promote(person, YES, 1, policy_digest(TWO), None)
        assert model.stages() == {1: "Production"}
    else:
        with pytest.raises(StateConflict, match="requires two persons"):
            promote.promote(person, YES, 1, policy_digest(TWO), None)


def test_under_the_two_person_rule_mlflow_alone_cannot_promote(make: Make) -> None:
    model, backend = make(TWO)
    approve_in_the_ui(model)
    assert "does not name the promoter" in said(model.transition(1, "Production"))[1]
    promote.promote(backend, YES, 1, policy_digest(TWO), None)
    assert model.stages() == {1: "Production"}


# --- retire ----------------------------------------------------------------------------------------------------------


def test_retire_leaves_production_empty_and_says_who_and_why(make: Make) -> None:
    model, backend = make(POLICY)
    promote.promote(backend, YES, 1, policy_digest(POLICY), None)
    retire.retire(backend, YES)
    assert model.stages() == {1: "Archived"}
    assert model.ledger_rows()[-1] == (1, "Production", "Archived", "retire", "anna")
    with pytest.raises(StateConflict, match="nothing to retire"):
        retire.retire(backend, YES)


@pytest.mark.parametrize(
    "decide", [review.reject, lambda backend, version, reason: review.approve(backend, version, reason, None)]
)
def test_a_decision_has_a_reason_in_one_line(make: Make, decide: Callable[..., object]) -> None:
    _, backend = make(POLICY)
    with pytest.raises(WrongUsage, match=r"^the reason (is empty|has|holds)"):
        decide(backend, 1, " ")


def test_a_policy_is_in_force_once_however_often_it_is_said(make: Make) -> None:
    model, _ = make(ASKS)
    policies.put_in_force(model.database, model.name, ASKS, "someone else")
    assert [change.actor for change in policies.changes(model.database, model.name)] == ["paul"]


def test_a_reject_that_was_killed_between_its_two_steps_is_finished_by_saying_it_again(make: Make) -> None:
    model, backend = make(POLICY)
    statement = approvals.Statement(model.name, 1, approvals.Decision.REJECTED, "anna", "anna", "too low")
    approvals.record(model.database, statement)
    assert "anna rejected it" in said(model.transition(1, "Production"))[1]
    review.reject(backend, 1, "too low")
    assert (model.stages(), len(decisions(model))) == ({1: "Archived"}, 1)


def test_a_reject_that_was_killed_before_it_could_tell_tells_what_it_did_when_said_again(make: Make) -> None:
    _, backend = make(POLICY)

    def killed(_: Move | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        review.reject(backend, 1, "too low", killed)
    moves: list[Move | None] = []
    for _ in range(2):
        review.reject(backend, 1, "too low", moves.append)
    assert moves == [Move(1, Stage.STAGING, Stage.ARCHIVED, Command.REJECT, ()), None]
    with pytest.raises(KeyboardInterrupt):
        review.reject(backend, 1, "too low", killed)
    assert review.reject(replace(backend, actor="bert"), 1, "too low") is None
