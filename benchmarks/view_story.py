"""Twenty corrections in the browser, with a clock: ``python benchmarks/view_story.py RESULTS``.

A headless Chromium opens the page of each sample and corrects tracks and cells with mouse and keys,
as a user would who looks for `--look-s` seconds before each correction. Rows are written into the
folder `--corrections`; pictures of the steps go to `--pictures`. No wait is longer than a minute:
the script ends with what it waited for and what the page says.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import TimeoutError as NoAnswer
from playwright.sync_api import sync_playwright
from processor_time import busy_s

import cellsam_core as cc

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
GROWN = 1.15
"""Boxes are dragged a little larger than the cells."""
LIMIT_S = 60.0
"""Longest wait for an answer of the page, such as the model that is being loaded."""


def main() -> None:
    """Open each sample, correct twenty times, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--corrections", type=Path, required=True)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--look-s", type=float, default=0.0)
    parser.add_argument("--samples", nargs="*", help="names; all without it")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, NAMES)))
    page = cc.view(args.results, corrections=args.corrections)
    with sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        for sample in args.samples or sorted(p.name for p in args.results.iterdir() if p.is_dir()):
            user = User(browser, args.look_s, args.pictures)
            user.work(page.url, sample)
        browser.close()
    page.close()


class User:
    """Someone at the page of one sample.

    Parameters
    ----------
    browser
        Headless browser.
    look_s
        Seconds to look before each correction.
    pictures
        Folder for pictures; None takes none.
    """

    def __init__(self, browser: Any, look_s: float, pictures: Path | None) -> None:
        self._page = browser.new_context(viewport={"width": 1360, "height": 860}).new_page()
        self._page.set_default_timeout(1000 * LIMIT_S)
        self._look_s = look_s
        self._pictures = pictures
        self._times: list[tuple[str, float]] = []
        self._hands = 0
        self._sample = ""

    def work(self, url: str, sample: str) -> None:
        """Correct a sample twenty times; if the page does not answer, end with a sentence."""
        try:
            self._work(url, sample)
        except NoAnswer as error:
            self._picture("no_answer")
            said = self._page.locator("#say").inner_text()
            where = f"{sample}, after {len(self._times)} corrections"
            raise SystemExit(f"{where}: {str(error).splitlines()[0]} Page: {said!r}") from error

    def _work(self, url: str, sample: str) -> None:
        began, busy = time.perf_counter(), busy_s()
        self._sample = sample
        self._page.goto(f"{url}#sample={sample}&frame=0")
        self._wait(sample=sample, busy="false")
        print(f"{sample}: first picture {time.perf_counter() - began:.1f} s", flush=True)
        self._page.wait_for_timeout(800)
        self._press("?")
        self._picture("keys")
        is_movie = self._page.locator("#queue").count() > 0
        if is_movie:
            self._tracks()
        self._cells(20 - len(self._times))
        took = time.perf_counter() - began
        worked, seconds = busy_s() - busy, [s for _, s in self._times]
        slowest, longest = max(self._times, key=lambda t: t[1])
        print(
            f"{sample}: {len(seconds)} corrections in {took:.0f} s, {worked:.0f} CPU s,"
            f" {self._hands} keys and clicks; answer after {statistics.median(seconds):.2f} s"
            f" (median), {longest:.2f} s (slowest: {slowest})",
            flush=True,
        )
        self._page.context.close()

    def _tracks(self) -> None:
        """Work through the first doubts, and correct links by hand."""
        self._press("ArrowDown")
        self._wait(row=0)
        self._page.wait_for_timeout(800)
        self._picture("queue")
        for k in range(6):
            self._time("confirm", lambda: self._press("Enter"))
            self._wait(row=k + 1)
        self._time("break", lambda: self._press("b"))
        self._time("take it back", lambda: self._press("z"), step=-1)
        self._page.keyboard.press("Escape")
        self._press("Shift+ArrowLeft")  # the doubts may end in the last frame
        self._wait(frame=0, busy="false")
        for action, key in (("swap", "s"), ("link", "a"), ("parent", "m")):
            first = self._choose_next()["place"]
            if action != "swap":
                self._step(int(first.split(":")[0]))
            self._press("v")
            self._page.wait_for_selector("body[data-chosen*=' ']")
            self._time(action, lambda key=key: self._press(key))
            self._press("Escape")

    def _step(self, frame: int) -> None:
        """Go a frame on, or a frame back from the last one."""
        last = int(self._page.get_by_label("Frame", exact=True).get_attribute("max"))
        self._press("ArrowRight" if frame < last else "ArrowLeft")
        self._wait(frame=frame + 1 if frame < last else frame - 1, busy="false")

    def _cells(self, n: int) -> None:
        """Delete cells and draw them again with boxes; cut, join, draw by hand; mark a region."""
        page = self._page
        self._press("f")
        page.wait_for_timeout(600)
        for k in range(n):
            kind = ("box", "box", "redraw", "hand", "cut", "delete", "join", "box")[k % 8]
            cell = self._choose_next()
            x0, y0, x1, y1 = cell["box"]
            middle = (y0 + y1) / 2
            if kind == "delete":
                self._time(kind, lambda: self._press("d"))
            elif kind == "cut":
                self._press("k")
                ends = ((x0 - 2, middle), (x1 + 2, middle))
                self._time(kind, partial(self._drag, *ends))
            elif kind == "join":
                self._press("v")
                page.wait_for_selector("body[data-chosen*=' ']")
                self._time(kind, lambda: self._press("j"))
            elif kind == "redraw":
                self._press("e")
                self._box(cell, kind)
            elif kind == "hand":
                self._time("delete", lambda: self._press("d"))
                self._press("o")
                for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)):
                    self._click(x, y)
                self._time(kind, lambda: self._press("Enter"))
            else:
                self._time("delete", lambda: self._press("d"))
                self._press("x")
                self._box(cell, kind)
            self._press("Escape")
            if len(self._times) >= 20:
                break
        self._picture("cells")

    def _box(self, cell: dict[str, Any], kind: str) -> None:
        """Drag a box around a cell and accept the drawing of the model."""
        x0, y0, x1, y1 = cell["box"]
        dx, dy = ((GROWN - 1) / 2 * (b - a) for a, b in ((x0, x1), (y0, y1)))
        self._wait(model="ready")
        began = time.perf_counter()
        self._drag((x0 - dx, y0 - dy), (x1 + dx, y1 + dy))
        self._wait(proposal="yes")
        print(f"  proposal after {time.perf_counter() - began:.2f} s", flush=True)
        self._picture("box")
        self._time(kind, lambda: self._press("c"))

    def _choose_next(self) -> dict[str, Any]:
        """Choose the next cell by its key; return its frame and label, and its box in pixels."""
        before = self._data("chosen")
        self._press("n")
        self._page.wait_for_selector(f"body:not([data-chosen='{before}'])[data-chosen*=':']")
        self._page.wait_for_timeout(500)
        found: dict[str, Any] = self._page.evaluate(
            """async () => {
              const s = (await import('./static/state.js')).state.chosen.at(-1);
              const { cellsOf } = await import('./static/state.js');
              const c = cellsOf(s.frame), k = c.rows.get(s.label);
              const r = Math.sqrt(c.area[k] / Math.PI);
              const box = [c.x[k] - r, c.y[k] - r, c.x[k] + r, c.y[k] + r];
              return { place: `${s.frame}:${s.label}`, box };
            }"""
        )
        return found

    def _time(self, name: str, act: Callable[[], None], step: int = 1) -> None:
        """Look, act, and wait until the row is in the table."""
        time.sleep(self._look_s)
        before = self._data("rows")
        began, busy = time.perf_counter(), time.process_time()
        act()
        refused = self._page.locator("#say .problem")
        while self._data("rows") == before:
            if time.perf_counter() - began > LIMIT_S:
                raise NoAnswer(f"{name} wrote no row within {LIMIT_S:.0f} s.")
            self._page.wait_for_timeout(20)
            if refused.count():
                print(f"  {name}: {refused.inner_text()}", flush=True)
                return
        took = time.perf_counter() - began
        cpu = time.process_time() - busy
        print(f"  {name} {took:.2f} s, {cpu:.2f} CPU s of the server", flush=True)
        if step > 0:
            self._times.append((name, took))

    def _press(self, key: str) -> None:
        self._hands += 1
        self._page.keyboard.press(key)

    def _screen(self, x: float, y: float) -> tuple[float, float]:
        box = self._page.locator("#picture").bounding_box()
        v = self._page.evaluate("() => import('./static/image.js').then(m => m.view())")
        assert box is not None
        left, top = box["x"] + v["x"], box["y"] + v["y"]
        return left + (x + 0.5) * v["scale"], top + (y + 0.5) * v["scale"]

    def _click(self, x: float, y: float) -> None:
        self._hands += 1
        self._page.mouse.click(*self._screen(x, y))

    def _drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self._hands += 1
        self._page.mouse.move(*self._screen(*start))
        self._page.mouse.down()
        self._page.mouse.move(*self._screen(*end), steps=8)
        self._page.mouse.up()

    def _wait(self, **data: object) -> None:
        where = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
        self._page.wait_for_selector(f"body{where}", state="attached")

    def _data(self, name: str) -> str:
        return str(self._page.evaluate("name => document.body.dataset[name]", name))

    def _picture(self, name: str) -> None:
        if self._pictures is not None:
            self._pictures.mkdir(parents=True, exist_ok=True)
            self._page.screenshot(path=str(self._pictures / f"{self._sample}_{name}.png"))


if __name__ == "__main__":
    main()
