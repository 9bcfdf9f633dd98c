"""Part 10: how long `memwatchd report` takes for half a minute at the full rate, and the page to open.

The incident is that of part 9. The page is opened in a headless Chromium, where there is one, several times:
the first time it is also the browser that starts.
"""

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.reading import RATE_HZ, SPAN_S, record, restlessness
from bench.report import BenchError, Part, Target, progress
from memwatchd.views.text import columns

_AIM_S = 5.0
_AIM_MB = 2.0
_AIM_OPEN_S = 1.0
_ROUNDS = 5
_OPENED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"


def measure(*, quick: bool) -> Part:
    """Record, then write and open a page."""
    progress("writing a report")
    count = RATE_HZ * (5 if quick else SPAN_S)
    with tempfile.TemporaryDirectory(prefix="memwatchd-bench-") as directory:
        path, page = Path(directory) / "bench.mwi", Path(directory) / "bench.html"
        with restlessness():
            record(path, count)
        took_s = {name: _report_s(path, page.with_suffix(name)) for name in (".html", ".md", ".svg")}
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        size_mb = page.stat().st_size / 1e6
        opened_s = list(_opened_s(page))
    part = Part(f"10. A report on {count} samples")
    part.lines = columns(
        [
            *(
                [f"memwatchd report -o *{name}", f"{wall_s:.2f} s, {busy_s:.2f} s of processor time"]
                for name, (wall_s, busy_s) in took_s.items()
            ),
            ["memory at most", f"{peak_mib:.0f} MiB"],
            ["opened for the first time", f"{opened_s[0]:.2f} s" if opened_s else "no chromium here"],
        ],
        frozenset({1}),
    )
    part.targets = [
        Target("write a page", took_s[".html"][0], _AIM_S, "s"),
        Target("size of the page", size_mb, _AIM_MB, "MB"),
    ]
    if opened_s:
        part.targets.append(Target("open it (median)", statistics.median(opened_s), _AIM_OPEN_S, "s"))
    part.figures = {"took_s": took_s, "peak_mib": peak_mib, "page_mb": size_mb, "opened_s": opened_s}
    return part


def _report_s(incident: Path, out: Path) -> tuple[float, float]:
    """Write one; how long it took, and how much of it on a processor."""
    before_s = _busy_s()
    command = [sys.executable, "-m", "memwatchd", "report", "-o", str(out), str(incident)]
    began = time.perf_counter()
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise BenchError(f"memwatchd report: {ended.stderr.strip()}")
    return time.perf_counter() - began, _busy_s() - before_s


def _busy_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _opened_s(page: Path) -> Iterator[float]:
    """Open it again and again; nothing where the browser, or what drives it, is not installed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        return
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        for _ in range(_ROUNDS):
            browser.get("about:blank")
            browser.get(f"file://{page}")
            yield float(browser.execute_script(_OPENED)) / 1000
    finally:
        browser.quit()
