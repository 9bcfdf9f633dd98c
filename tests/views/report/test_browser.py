"""The page in a real browser: it is drawn, it answers pointer and keys, and no name becomes anything else."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait
from tests.views.report.conftest import COMM

from memwatchd.views.report.library import find_library
from memwatchd.views.report.page import render_page
from memwatchd.views.report.story import Story

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions"),
    *("--force-color-profile=srgb", "--hide-scrollbars", "--window-size=1200,1000"),
)
MEMORY = '[data-panel="0"]'
# Colours that a canvas has, as counts of pixels.
COLOURS = """
const shown = document.querySelector(arguments[0] + " canvas");
const canvas = new OffscreenCanvas(shown.width, shown.height);
const context = canvas.getContext("2d", { willReadFrequently: true });
context.drawImage(shown, 0, 0);
const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;
const found = {};
for (let at = 0; at < bytes.length; at += 4) {
  if (bytes[at + 3] === 255) {
    const key = bytes[at] + "," + bytes[at + 1] + "," + bytes[at + 2];
    found[key] = (found[key] || 0) + 1;
  }
}
return found;
"""
BLUE, BLUE_IN_THE_DARK = "59,111,182", "91,143,214"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    """One for all tests: starting it takes seconds."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium, or no chromedriver; try: scripts/setup-browser")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


class Page:
    """The report, open in the browser."""

    def __init__(self, driver: webdriver.Chrome, path: Path) -> None:
        self.driver = driver
        self.path = path
        self.open()

    def open(self, fragment: str = "") -> None:
        """Open it anew."""
        self.driver.get("about:blank")
        self.driver.get(f"file://{self.path}{fragment}")
        self.wait(lambda: "s " in self.text("#now"))

    def wait(self, condition: Any) -> None:
        """Wait until something holds: the page draws when the browser lets it."""
        WebDriverWait(self.driver, 20, 0.02).until(lambda _driver: condition())

    def find(self, selector: str) -> WebElement:
        """The first element of this kind, wherever one has scrolled to."""
        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        return element

    def text(self, selector: str) -> str:
        """The text of an element, seen or not."""
        script = "const e = document.querySelector(arguments[0]); return e ? e.textContent : ''"
        return str(self.driver.execute_script(script, selector))

    def legend(self, panel: int) -> dict[str, str]:
        """The figures of a chart at the cursor."""
        script = """return Array.from(document.querySelectorAll(`[data-legend="${arguments[0]}"] button`))
          .map((each) => [each.childNodes[1].textContent.trim(), each.querySelector("b").textContent])"""
        return dict(self.driver.execute_script(script, panel))

    def state(self) -> dict[str, float]:
        """View, span and cursor, as a link would have them."""
        link = self.find("#link").get_attribute("href") or ""
        return {name: float(values[0]) for name, values in parse_qs(link.partition("#")[2]).items()}

    def complaints(self) -> list[Any]:
        """What the browser has to say of the page."""
        found: list[Any] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return found

    def press(self, *keys: str, panel: str = MEMORY) -> None:
        """Press keys in a chart."""
        self.find(panel).send_keys(*keys)


@pytest.fixture
def page(browser: webdriver.Chrome, story: Story, tmp_path: Path) -> Page:
    path = tmp_path / "report.html"
    path.write_text(render_page(story, find_library()))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    return Page(browser, path)


def test_nothing_is_wrong_and_everything_is_drawn(page: Page) -> None:
    """The page would be blank for whoever opens it."""
    assert page.complaints() == []
    drawn = page.driver.execute_script("return document.querySelectorAll('.chart .uplot canvas').length")
    assert drawn == 13
    for panel in range(12):
        colours = page.driver.execute_script(COLOURS, f'[data-panel="{panel}"]')
        assert len(colours) > 1, panel
    assert page.driver.execute_script(COLOURS, MEMORY)[BLUE] > 10_000


def test_names_are_only_shown(page: Page) -> None:
    """A process called like a script would run in the browser of whoever looks why it died."""
    assert (
        page.driver.execute_script(
            "return document.images.length + document.querySelectorAll('b img, i').length"
        )
        == 0
    )
    assert f"Watched process {COMM} (pid 4711)" in page.text("#panel-9 h3")
    assert COMM in page.text("#figures")
    assert page.complaints() == []


def test_the_cursor_shows_every_figure_at_that_moment(page: Page) -> None:
    """A reader could only guess figures from a curve."""
    assert page.legend(0)["anonymous"] == "644.5 MiB"
    chart = page.find(f"{MEMORY} .u-over")
    ActionChains(page.driver).move_to_element(chart).perform()
    page.wait(lambda: abs(page.state()["at"] + 2.0) < 0.02)
    assert page.legend(0) == {
        "anonymous": "449.2 MiB",
        "shared and tmpfs": "8.789 MiB",
        "page cache": "98.63 MiB",
        "slab, reclaimable": "29.3 MiB",
        "slab, unreclaimable": "10.74 MiB",
        "page tables": "5.859 MiB",
        "kernel stacks and vmalloc": "4.883 MiB",
        "per CPU": "1000 KiB",
        "unaccounted": "6.836 MiB",
        "free": "361.3 MiB",
        "available": "439.5 MiB",
        "all memory": "976.6 MiB",
    }
    assert page.legend(2) == {"some task waited": "20.0 %", "all tasks waited": "5.0 %"}
    crosshairs = page.driver.execute_script(
        "return [...document.querySelectorAll('.u-cursor-x')].map((each) => each.getBoundingClientRect().x)"
    )
    assert max(crosshairs) - min(crosshairs) < 1.5


def test_dragging_zooms_all_charts(page: Page) -> None:
    """What happened within a second could not be seen."""
    chart = page.find(f"{MEMORY} .u-over")
    width = chart.size["width"]
    drag = ActionChains(page.driver).move_to_element_with_offset(chart, 0, 20).click_and_hold()
    drag.move_by_offset(width // 4, 0).release().perform()
    page.wait(lambda: page.state()["from"] > -3)
    state = page.state()
    assert [state["from"], state["to"]] == pytest.approx([-2, 0], abs=0.05)
    page.find("#zoom-all").click()
    page.wait(lambda: page.state()["from"] == -6.0)


def test_keys_do_all_that_the_pointer_does(page: Page) -> None:
    """Whoever has no pointer could read nothing but the tables."""
    page.press("k", Keys.ARROW_LEFT)
    assert page.state()["at"] == pytest.approx(-0.1, abs=1e-3)
    page.press(Keys.PAGE_UP)
    assert page.state()["at"] == pytest.approx(-1.4, abs=1e-3)
    page.press("a", Keys.HOME, "b", "+")
    state = page.state()
    assert [state["a"], state["b"], state["to"] - state["from"]] == pytest.approx([-1.4, -6.0, 4.0])
    page.press("0", Keys.END)
    assert (page.state()["from"], page.state()["at"]) == (-6.0, 2.0)


def test_a_screen_reader_hears_moment_and_figures(page: Page) -> None:
    """A chart would be an unnamed picture."""
    chart = page.find('[data-panel="10"]')
    page.press("k", panel='[data-panel="10"]')
    page.wait(lambda: "+0.000" in (chart.get_attribute("aria-valuetext") or ""))
    assert chart.get_attribute("role") == "slider"
    assert chart.get_attribute("aria-valuetext") == "+0.000 s, used 9.766 MiB, its limit 256 MiB"
    assert (chart.aria_role, chart.accessible_name.endswith(": moment")) == ("slider", True)


def test_a_link_brings_back_view_and_span(page: Page) -> None:
    """One could not show a colleague what one sees."""
    page.open("#from=-3&to=1&a=-2&b=-1&at=-1.5")
    assert page.state() == {"from": -3, "to": 1, "a": -2, "b": -1, "at": -1.5}
    cells = page.driver.execute_script(
        "const row = document.querySelector('#figures tbody:nth-of-type(2) tr');"
        "return [...row.cells].map((each) => each.textContent)"
    )
    assert cells == ["anonymous", "498 MiB", "449.2 MiB", "546.9 MiB", "+97.66 MiB", "+97.66 MiB/s"]
    page.open("#at=nonsense&from=5")
    assert page.state()["to"] == 2.0


def test_an_event_s_link_moves_the_cursor(page: Page) -> None:
    """One would have to find the moment in the chart oneself."""
    page.find('a[href="#at=-1.5000"]').click()
    page.wait(lambda: page.state()["at"] == -1.5)


def test_a_figure_can_be_hidden(page: Page) -> None:
    """A large one would hide what the others do."""
    before = page.driver.execute_script(COLOURS, MEMORY)[BLUE]
    page.find('[data-legend="0"] button').click()
    page.wait(lambda: page.driver.execute_script(COLOURS, MEMORY).get(BLUE, 0) < before / 10)
    assert page.find('[data-legend="0"] button').get_attribute("aria-pressed") == "false"


def test_it_is_dark_where_the_system_is(page: Page) -> None:
    """It would dazzle at night, when machines die."""
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    page.wait(lambda: BLUE_IN_THE_DARK in page.driver.execute_script(COLOURS, MEMORY))
    back = page.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(20, 23, 26)"


def test_it_can_be_printed(page: Page) -> None:
    """Charts would be cut off at the edge of the paper, or buttons printed."""
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 50_000
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    page.wait(lambda: not page.driver.find_element(By.ID, "tools").is_displayed())


def test_what_is_folded_is_unfolded_on_paper(page: Page) -> None:
    """The lines that prove a finding would be missing where nobody can unfold them."""
    folded = "return document.querySelectorAll('#findings details:not([open])').length"
    page.find("#findings summary").click()
    assert page.driver.execute_script(folded) == 1
    page.driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.driver.execute_script(folded) == 0
    page.driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.driver.execute_script(folded) == 1


def test_it_fits_a_narrow_window(page: Page) -> None:
    """One would have to scroll to and fro on a phone."""
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.wait(lambda: page.find(f"{MEMORY} .uplot").size["width"] < 390)
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
