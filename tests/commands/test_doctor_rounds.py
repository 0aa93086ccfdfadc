"""The doctor goes through all checks, repairs if asked to, and then looks again."""

from collections.abc import Iterator

from lockgate.doctor import checks
from lockgate.doctor.context import Site
from lockgate.doctor.report import Checked, Finding, Weight
from lockgate.errors import Unavailable
from lockgate.problem.params import Params

WRONG = Finding("wrong", hint="do this")
WARNING = Finding("odd", weight=Weight.WARNING)
DOWN = Unavailable("no server", hint="start it")


def site() -> Site:
    return Site(None, Params.model_construct(), DOWN)


def test_a_checker_that_a_server_stops_keeps_what_it_found_and_the_others_go_on():
    def stopped(_: Site) -> Iterator[Finding]:
        yield WRONG
        raise DOWN

    found = checks.examine(site(), False, {"stopped": stopped, "other": lambda _: iter([WARNING])})
    assert found.checked == [Checked("stopped", [WRONG], DOWN), Checked("other", [WARNING])]


def test_without_repair_nothing_is_repaired_and_with_it_all_is_looked_at_again():
    ill = ["fever"]

    def check(_: Site) -> Iterator[Finding]:
        for illness in ill:
            yield Finding(illness, repair=lambda: ill.pop() + " cured")

    assert [finding.message for finding in checks.examine(site(), False, {"check": check}).findings] == ["fever"]
    assert ill == ["fever"]
    found = checks.examine(site(), True, {"check": check})
    assert (found.findings, found.repaired, found.ending()) == ([], ["fever cured"], None)


def test_a_repair_that_fails_is_told_and_its_finding_stays():
    def fails() -> str:
        raise DOWN

    found = checks.examine(site(), True, {"check": lambda _: iter([Finding("ill", repair=fails)])})
    assert [finding.message for finding in found.findings] == ["ill"]
    assert found.repaired == ["nothing, because the repair failed: ill: no server"]
