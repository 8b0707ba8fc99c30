"""The page in a real browser: it opens, folds and unfolds, and nothing complains."""

import os
import shutil

import pytest

from skcoop.inspection import Report
from tests.inspection.conftest import OLD, SCRIPT, YOUNG

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright drives the browser"
)

NAMES = ["chromium", "chromium-browser", "google-chrome"]
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
QUIET = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"none of the browsers {NAMES} is installed"
)


@pytest.fixture(scope="module")
def browser():
    root = getattr(os, "geteuid", lambda: 1)() == 0
    with playwright.sync_playwright() as driver:
        options = [*QUIET, "--no-sandbox"] if root else QUIET
        yield driver.chromium.launch(executable_path=BROWSER, args=options)


@pytest.fixture(scope="module")
def address(odd, tmp_path_factory):
    distiller, X, _ = odd
    path = tmp_path_factory.mktemp("page") / "report.html"
    Report.from_estimator(distiller, X).save(path)
    return path.as_uri()


@pytest.fixture(params=["light", "dark"])
def opened(browser, address, request):
    """Open the page and fail if it asks for anything or says anything."""
    page = browser.new_page(color_scheme=request.param)
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto(address)
    page.scheme = request.param
    yield page
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [address]
    page.close()


def test_click_through(opened):
    parts = opened.locator("details")
    assert parts.count() >= 4
    for part in parts.all():
        was_open = part.evaluate("one => one.open")
        table = part.locator("table").first
        assert table.is_visible() == was_open
        part.locator("summary").first.click()
        assert table.is_visible() != was_open
        part.locator("summary").first.click()
        assert table.is_visible() == was_open


def test_names_are_shown_and_do_not_run(opened):
    for part in opened.locator("details").all():
        if not part.evaluate("one => one.open"):
            part.locator("summary").first.click()
    shown = opened.inner_text("body")
    assert SCRIPT in shown
    assert YOUNG in shown
    assert OLD in shown
    assert opened.evaluate("typeof window.broken") == "undefined"
    assert opened.locator("script").count() == 0


def test_text_can_be_read(opened):
    """Text and background differ enough, whatever the reader prefers."""
    luminance = """selector => {
        const style = getComputedStyle(document.querySelector(selector));
        const values = [style.color, getComputedStyle(document.body).backgroundColor];
        return values.map(value => {
            const [r, g, b] = value.match(/[0-9.]+/g).map(Number);
            return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
        });
    }"""
    for selector in ("h1", "td", "mark", "summary"):
        ink, paper = opened.evaluate(luminance, selector)
        assert (paper > 0.9) == (opened.scheme == "light")
        assert abs(ink - paper) > 0.6


def test_no_part_is_cut_off(opened):
    """On a phone the page does not scroll sideways; its tables do."""
    opened.set_viewport_size({"width": 400, "height": 800})
    widths = opened.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1]
