"""What the doctor makes of what was gathered, and how an examination ends."""

from datetime import timedelta

import pytest

from lockgate.doctor import rules
from lockgate.doctor.report import Checked, Examination, Finding, Weight
from lockgate.doctor.rules import Remembered
from lockgate.errors import BadConfiguration, IntegrityBroken, StateConflict, Unavailable
from lockgate.operations.stage_files import Receipt

WHOLE = Remembered(1, present=True, deleted=False, astray=False, run_hidden=False, run_id="r1")
LOST = Remembered(2, present=False, deleted=False, astray=True, run_hidden=True, run_id="r2")
A, B = "a" * 64, "b" * 64

WRONG = Finding("wrong", hint="do this")
SAFE = Finding("wrong", repair=lambda: "done")
BROKEN = Finding("broken", weight=Weight.INTEGRITY)
WARNING = Finding("odd", weight=Weight.WARNING)
DOWN = Unavailable("no server", hint="start it")
NOWHERE = BadConfiguration("no addresses", hint="set them")


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("findings", "refusal", "ends"),
    [
        ([], None, None),
        ([WARNING], None, None),
        ([WRONG], None, StateConflict),
        ([WARNING, WRONG], None, StateConflict),
        ([BROKEN], None, IntegrityBroken),
        ([WRONG, BROKEN], DOWN, IntegrityBroken),
        ([WRONG], DOWN, Unavailable),
        ([], DOWN, Unavailable),
        ([], NOWHERE, BadConfiguration),
        ([], StateConflict("schema too old"), StateConflict),
    ],
)
def test_it_ends_with_the_worst_of_what_is_left(findings, refusal, ends):
    ending = Examination([Checked("one", findings), Checked("two", (), refusal)]).ending()
    assert (type(ending) if ending else None) is ends


def test_the_ending_counts_what_is_left_and_says_what_to_do():
    ending = Examination([Checked("one", [WRONG, SAFE, WARNING]), Checked("two", (), DOWN)]).ending()
    assert ending.message == "2 findings to repair, 1 check could not run"
    assert ending.hint == "make the safe repairs with: lockgate doctor --repair"
    assert Examination([Checked("two", (), DOWN)]).ending().hint == "start it"
    assert Examination([Checked("one", [WRONG])]).ending().hint == "see the hints above"


# --- what is wrong with what was gathered ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remembered", "says"),
    [
        ([], []),
        ([WHOLE], []),
        ([WHOLE, LOST], ["version 2 is recorded, but MLflow has no row of it"]),
        ([LOST], ["MLflow's registry was emptied: none of the 1 recorded versions is in it"]),
        (
            [Remembered(3, True, False, True, False, "r3")],
            ["version 3 points to another run or other files than at its registration"],
        ),
        ([Remembered(3, True, False, False, True, "r3")], ["the run of version 3 was deleted"]),
        ([Remembered(3, True, True, True, True, "r3")], []),
    ],
)
def test_records_are_compared_with_what_mlflow_has(remembered, says):
    assert [finding.message for finding in rules.records(remembered)] == says


@pytest.mark.parametrize(
    ("receipt", "says"),
    [
        (Receipt("m", 1, "run", A), None),
        (Receipt("other", 1, "run", A), "the receipt is for other, but params.yaml names m"),
        (Receipt("m", 9, "run", A), "the receipt names version 9, which is not recorded"),
        (
            Receipt("m", 1, "run", B),
            "the receipt says that version 1 holds bundle bbbbbbbbbbbb, but the record says aaaaaaaaaaaa",
        ),
        (Receipt("m", 2, "run", B), "the receipt names version 2, which the registry no longer has"),
    ],
)
def test_a_receipt_is_compared_with_records_and_registry(receipt, says):
    found = rules.receipt(receipt, "m", {1: A, 2: B}, {1})
    assert (found.message if found else None) == says


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (0, None),
        (30, None),
        (-30, None),
        (31, "the database's clock is 31 s ahead of this host's"),
        (-300, "the database's clock is 300 s behind this host's"),
    ],
)
def test_clocks_that_differ_are_a_warning(seconds, says):
    found = [(finding.message, finding.weight) for finding in rules.clock(timedelta(seconds=seconds))]
    assert found == ([(says, Weight.WARNING)] if says else [])


def test_every_safe_setting_that_a_server_lacks_is_named():
    safe = {"JOBS": "false", "TELEMETRY": "off"}
    assert list(rules.settings({"JOBS": "false", "TELEMETRY": "off", "PATH": "/bin"}, safe)) == []
    assert [finding.message for finding in rules.settings({"JOBS": "true"}, safe)] == [
        "the MLflow server runs without the safe value of JOBS",
        "the MLflow server runs without the safe value of TELEMETRY",
    ]


@pytest.mark.parametrize(
    ("mode", "forbidden", "says"),
    [
        (0o40700, rules.OTHERS_RIGHTS, None),
        (0o40750, rules.OTHERS_RIGHTS, "can be read by its group (mode 750)"),
        (0o100644, rules.OTHERS_RIGHTS, "can be read by all users (mode 644)"),
        (0o40777, rules.OTHERS_RIGHTS, "can be written by all users (mode 777)"),
        (0o40755, rules.OTHERS_MAY_WRITE, None),
        (0o41777, rules.OTHERS_MAY_WRITE, "can be written by all users (mode 1777)"),
    ],
)
def test_rights_that_others_may_not_have_are_told(mode, forbidden, says):
    assert rules.rights(mode, forbidden) == says
