"""The report in a real browser: its script runs under its policy, its figures are Python's, nothing else happens."""

from __future__ import annotations

import shutil

import pytest
from made_report import REVERSED, a_section, made
from playwright.sync_api import sync_playwright

from modwright.evaluation.report import report_html
from modwright.evaluation.resampling import Interval
from modwright.evaluation.sections import Section, Table

pytestmark = pytest.mark.real
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "there is no chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Open a report from disk; every request but that one and every complaint is kept."""
    contexts = []

    def opened(report, **options):
        path = tmp_path / "report.html"
        path.write_text(report_html(report), encoding="utf-8")
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.complaints, page.requests = [], []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(path.as_uri())
        assert page.requests == [path.as_uri()]
        return page

    yield opened
    for context in contexts:
        context.close()


def part(page, name):
    return page.locator(f'[data-part="{name}"]')


def test_the_sliders_figures_are_those_of_python(open_page):
    report = made()
    page = open_page(report)
    assert page.locator("#explorer-tool").is_visible()
    assert page.complaints == []
    insult = report.explorers[0]
    for act, review, prevalence in ((40, 20, None), (80, 80, 0.03), (len(insult.thresholds) - 1, 10, 0.2)):
        share = insult.prevalence if prevalence is None else prevalence
        part(page, "share").fill(str(100 * share))
        part(page, "act").fill(str(act))
        part(page, "review").fill(str(review))
        expected = insult.outcome(insult.thresholds[act], share, insult.thresholds[review])
        value = expected.precision.value
        assert part(page, "precision").text_content() == ("–" if value is None else f"{value:.2f}")
        if value is not None:
            low, high = expected.precision.low, expected.precision.high
            assert part(page, "precision-span").text_content() == f"{low:.2f}–{high:.2f}"
        assert part(page, "recall").text_content() == f"{expected.recall.value:.2f}"
        for name, rate in (
            ("flagged", expected.flagged),
            ("review-load", expected.review),
            ("missed", expected.missed),
        ):
            assert float(part(page, name).text_content()) == pytest.approx(1000 * rate, abs=0.51)
    assert page.complaints == []


def test_people_look_below_what_is_flagged_and_buttons_set_both(open_page):
    report = made()
    page = open_page(report)
    insult = report.explorers[0]
    part(page, "act").fill("10")
    part(page, "review").fill("50")
    assert part(page, "review").input_value() == "10"
    page.get_by_role("button", name="review band").click()
    assert part(page, "act").input_value() == str(insult.place(0.8))
    assert part(page, "review").input_value() == str(insult.place(0.2))
    page.get_by_role("button", name="default").click()
    assert (
        part(page, "act").input_value()
        == part(page, "review").input_value()
        == str(insult.place(insult.points["default"]))
    )
    part(page, "which").select_option(index=1)
    assert part(page, "act").input_value() == str(
        report.explorers[1].place(report.explorers[1].points["default"])
    )
    part(page, "act").focus()
    page.keyboard.press("ArrowRight")
    assert part(page, "act").input_value() == str(
        report.explorers[1].place(report.explorers[1].points["default"]) + 1
    )


@pytest.mark.parametrize("place", ["title", "split", "text", "sections", "point_name", "labels"])
def test_hostile_texts_do_nothing(open_page, place):
    given = {place: HOSTILE + REVERSED}
    if place == "sections":
        given = {"sections": (a_section(HOSTILE + REVERSED),)}
    if place == "labels":
        given = {"labels": (HOSTILE + REVERSED, "rare")}
    page = open_page(made(**given))
    for details in page.locator("details").all():
        details.evaluate("element => element.open = true")
    assert page.evaluate("document.title") != "owned"
    assert page.locator("img").count() == 0
    assert page.evaluate("document.scripts.length") == 2
    assert "\u202e" not in page.evaluate("document.documentElement.textContent")
    assert page.complaints == []


def test_the_policy_holds_and_forbids_any_other_script(open_page):
    page = open_page(made())
    page.evaluate(
        "() => { const made = document.createElement('script'); made.textContent = \"document.title = 'owned'\";"
        " document.body.append(made); }"
    )
    assert page.evaluate("document.title") != "owned"
    assert any("Content Security Policy" in complaint for complaint in page.complaints)


def test_texts_are_closed_until_asked_for_and_not_printed(open_page):
    page = open_page(made(text="you are a silly goose"))
    goose = page.get_by_text("you are a silly goose").first
    assert not goose.is_visible()
    page.locator("details.texts summary").first.click()
    assert goose.is_visible()
    page.locator("details.texts summary").first.click()
    page.emulate_media(media="print")
    assert not goose.is_visible()


def test_without_scripts_everything_but_the_tool_is_there(open_page):
    page = open_page(made(), java_script_enabled=False)
    assert not page.locator("#explorer-tool").is_visible()
    assert page.get_by_text("At every operating point: moderation").is_visible()


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window(open_page, width):
    page = open_page(made(sections=(a_section("by length"),)), viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_words_of_a_wide_table_stay_whole_in_a_narrow_window(open_page):
    """The table scrolls within the page; its heading and the rows' names stay in sight."""
    columns = ("disguise", "texts changed", *(f"change of figure {n}" for n in range(8)))
    half = Interval(0.5, 0.4, 0.6, 1000)
    wide = Table(
        "A wide one", columns, (("repeated letters", 1000, *[half] * 8),), "A note of a sentence. " * 4
    )
    section = Section("wide", "Wide", "", (wide,))
    page = open_page(made(sections=(section,)), viewport={"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    scroll = page.locator(".scroll", has_text="A wide one")
    cell = scroll.locator("tbody td").first
    assert cell.evaluate("cell => cell.querySelector('bdi').getClientRects().length") == 1
    assert scroll.locator("caption").bounding_box()["width"] <= 360
    scroll.evaluate("element => { element.scrollLeft = 300; }")
    assert scroll.locator("tbody th").bounding_box()["x"] >= 0
