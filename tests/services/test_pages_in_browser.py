"""A reviewer in a browser: opens, reads, approves, promotes, is refused, rolls back; on our pages and on MLflow's."""

import re
from collections.abc import Iterator

import browser as chromium
import pytest
from page_scene import serving_and_staged
from playwright.sync_api import Browser, Page, expect

from lockgate.database import approvals, ledger
from lockgate.operations import review
from lockgate.operations.workspace import Workspace
from lockgate.system import page_addresses
from lockgate.system.service_urls import Addresses

pytestmark = [pytest.mark.long, *chromium.NEEDED]

NAMES = ("overview", "version", "promote", "history", "monitoring")
CLASSIC_VIEW = "localStorage.setItem('_mlflow_user_setting_dismiss_next_model_registry_ui', 'true')"
NO_ASSISTANT = "localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true')"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.running() as found:
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without JavaScript: ours need none."""
    with chromium.opened(browser, java_script_enabled=False) as found:
        yield found


@pytest.fixture
def mlflow_page(browser: Browser) -> Iterator[Page]:
    """A page of MLflow in its classic view, which has the stages."""
    with chromium.opened(browser, viewport={"width": 1400, "height": 1000}) as found:
        found.add_init_script(f"{CLASSIC_VIEW}; {NO_ASSISTANT}")
        yield found


@pytest.fixture(scope="module")
def model(stack: Addresses) -> Workspace:
    """Version 1 is in Production, version 2 in Staging. The tests that only read use it."""
    return serving_and_staged(stack)


@pytest.fixture
def own_model(stack: Addresses) -> Workspace:
    """The same for one test that moves versions."""
    return serving_and_staged(stack)


def address(model: Workspace, path: str) -> str:
    return model.addresses.tracking_uri + path


def pages_of(model: Workspace) -> dict[str, str]:
    """The addresses that a visitor can read, by name."""
    paths = {
        "overview": page_addresses.overview(),
        "version": page_addresses.version(model.model, 2),
        "promote": page_addresses.version(model.model, 2).replace("?", "/promote?"),
        "history": page_addresses.of_model("history", model.model),
        "monitoring": page_addresses.of_model("monitoring", model.model),
    }
    return {name: address(model, path) for name, path in paths.items()}


def live(model: Workspace) -> int | None:
    serving = model.state().serving()
    return serving.version if serving else None


def commands(model: Workspace) -> set[tuple[int, str, str]]:
    """The commands of the last promotion or rollback, by version and new stage."""
    return {(row.version, row.to_stage, row.command) for row in ledger.read(model.database, model.model)[-2:]}


def test_a_reviewer_reads_approves_promotes_and_rolls_back(own_model: Workspace, page: Page) -> None:
    page.goto(address(own_model, page_addresses.overview()))
    page.get_by_role("listitem").filter(has_text=own_model.model).get_by_role("link", name="version 2").click()
    expect(page.get_by_role("heading", name="Version 2")).to_be_visible()
    expect(page.get_by_role("row", name="within limit")).to_contain_text("passed")
    page.get_by_label("Reason").fill("holidays checked")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_have_text("The approval is recorded.")
    page.get_by_role("link", name="Promote to Production…").click()
    expect(page.get_by_role("listitem").filter(has_text="goes from Staging to Production")).to_have_count(1)
    assert live(own_model) == 1
    page.get_by_label("Reason").fill("better")
    page.get_by_role("button", name="Promote version 2").click()
    expect(page.get_by_role("status")).to_have_text("The version is in Production.")
    assert live(own_model) == 2
    page.goto(address(own_model, page_addresses.of_model("rollback", own_model.model)))
    page.get_by_label("Reason").fill("too high")
    page.get_by_role("button", name=re.compile("version 1")).click()
    expect(page.get_by_role("status")).to_have_text("The version is back in Production.")
    assert live(own_model) == 1
    said = [
        (each.version, each.decision, each.reason) for each in approvals.of_model(own_model.database, own_model.model)
    ]
    assert said == [(2, "approved", "holidays checked")]


def test_a_promotion_that_came_second_is_refused_with_the_words_of_the_gate(own_model: Workspace, page: Page) -> None:
    page.goto(pages_of(own_model)["promote"])
    review.reject(own_model, 2, "holidays are wrong")
    page.get_by_label("Reason").fill("better")
    page.get_by_role("button", name="Promote version 2").click()
    expect(page.get_by_role("alert")).to_contain_text("version 2")
    chromium.picture(page, "refused")
    assert live(own_model) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_finding(model: Workspace, browser: Browser, name: str, scheme: str) -> None:
    with chromium.opened(browser, color_scheme=scheme, viewport={"width": 1280, "height": 900}) as page:
        page.goto(pages_of(model)[name])
        chromium.picture(page, f"{name}-{scheme}")
        assert chromium.serious_findings(page) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_narrow_page_does_not_scroll_sideways(model: Workspace, browser: Browser, name: str) -> None:
    with chromium.opened(browser, viewport={"width": 360, "height": 640}) as page:
        page.goto(pages_of(model)[name])
        chromium.picture(page, f"{name}-narrow")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_keyboard_reaches_the_decision_and_the_focus_is_seen(model: Workspace, browser: Browser) -> None:
    with chromium.opened(browser) as page:
        page.goto(pages_of(model)["version"])
        page.keyboard.press("Tab")
        reached = []
        while page.evaluate("document.activeElement !== document.body"):
            reached.append(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            page.keyboard.press("Tab")
        assert reached[0].startswith("Skip")
        assert {"reason", "decision", "Promote to Production…"} <= set(reached)


def test_paper_has_the_verdict_and_no_buttons(model: Workspace, browser: Browser) -> None:
    with chromium.opened(browser) as page:
        page.goto(pages_of(model)["version"])
        page.emulate_media(media="print")
        expect(page.get_by_role("row", name="within limit")).to_be_visible()
        expect(page.get_by_role("button", name="Approve")).to_be_hidden()


def test_mlflows_page_leads_to_ours_and_a_refused_click_says_what_to_do(
    own_model: Workspace, mlflow_page: Page
) -> None:
    mlflow_page.goto(address(own_model, f"/#/models/{own_model.model}/versions/2"))
    choose_production(mlflow_page)
    mlflow_page.get_by_role("dialog").get_by_role("button", name="OK").click()
    refused = mlflow_page.get_by_text("Refused by the gate")
    expect(refused).to_contain_text(f"version 2 of {own_model.model} may not go to Production: version 1 is there")
    expect(refused).to_contain_text("tick the box for it")
    chromium.picture(mlflow_page, "mlflow-refused")
    assert live(own_model) == 1


def test_the_stage_of_mlflows_page_promotes_what_passed(own_model: Workspace, mlflow_page: Page) -> None:
    mlflow_page.goto(address(own_model, f"/#/models/{own_model.model}/versions/2"))
    choose_production(mlflow_page)
    mlflow_page.get_by_role("dialog").get_by_role("checkbox").check()
    mlflow_page.get_by_role("dialog").get_by_role("button", name="OK").click()
    expect(mlflow_page.locator(".mlflow-stage-transition-dropdown")).to_have_text("Production")
    assert live(own_model) == 2
    assert commands(own_model) == {(2, "Production", "out of band"), (1, "Archived", "out of band")}


def test_the_tags_of_mlflows_page_are_an_approval_and_a_missing_name_is_asked_for(
    own_model: Workspace, mlflow_page: Page
) -> None:
    mlflow_page.goto(address(own_model, f"/#/models/{own_model.model}/versions/2"))
    add_tag(mlflow_page, "approval", "approved")
    expect(mlflow_page.get_by_text("the tag approved_by is missing")).to_contain_text("set the tag approved_by")
    for name, value in (("approved_by", "bea"), ("approval", "approved")):
        add_tag(mlflow_page, name, value)
        expect(mlflow_page.get_by_role("cell", name=name, exact=True)).to_be_visible()
    found = approvals.of_model(own_model.database, own_model.model)
    assert [(each.version, each.decision, each.decided_by) for each in found] == [(2, "approved", "bea")]


def add_tag(page: Page, name: str, value: str) -> None:
    page.get_by_label("tag name").fill(name)
    page.get_by_label("tag value").fill(value)
    page.get_by_test_id("add-tag-button").click()


def choose_production(page: Page) -> None:
    """Open the dialog of the stage drop-down for Production."""
    page.locator(".mlflow-stage-transition-dropdown").click()
    page.get_by_role("menuitem").filter(has_text="Production").click()
