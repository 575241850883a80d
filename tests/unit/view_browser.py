"""A headless browser for the tests of the page, and a tab that logs what it does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_MS = 60_000
"""Other tests may run beside this one."""
FLAGS = ["--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run", "--disable-quic"]


@contextmanager
def launched() -> Iterator[Any]:
    """Start the browser; tests are skipped, with the reason, where there is none."""
    is_required = os.environ.get("CELLSAM_BROWSER") == "required"
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = (shutil.which(name) for name in NAMES)
    path = os.environ.get("CELLSAM_CHROMIUM") or next(filter(None, found), None)
    if path is None:
        reason = "no Chromium: apt-get install chromium, or set CELLSAM_CHROMIUM to its path"
        (pytest.fail if is_required else pytest.skip)(reason)
    flags = [*FLAGS, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=flags)
        yield chromium
        chromium.close()


class Tab:
    """A page with what it logged, asked for and said."""

    def __init__(self, browser: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1200, "height": 760})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self.addresses: list[str] = []
        self.statuses: list[tuple[int, str]] = []
        self.page.on("console", lambda m: m.type == "error" and self.errors.append(m.text))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("dialog", lambda d: (self.errors.append("dialog"), d.dismiss()))
        self.page.on("request", lambda r: self.addresses.append(r.url))
        self.page.on("response", lambda r: self.statuses.append((r.status, r.url)))

    def open(self, url: str, sample: str, frame: int = 0) -> Any:
        self.page.goto(f"{url}#sample={sample}&frame={frame}")
        self.wait(sample=sample, frame=frame)
        return self.page

    def wait(self, **data: object) -> None:
        where = "".join(f'[data-{name}="{value}"]' for name, value in data.items())
        self.page.wait_for_selector(f"body{where}", timeout=PATIENCE_MS, state="attached")

    def data(self, name: str) -> str:
        return str(self.page.evaluate("name => document.body.dataset[name]", name))

    def screen(self, y: float, x: float) -> tuple[float, float]:
        """Place on the screen of the centre of a pixel, by the size of the fitted image."""
        box = self.page.locator("#picture").bounding_box()
        v = self.page.evaluate("() => import('./static/image.js').then(m => m.view())")
        assert box is not None
        left, top = box["x"] + v["x"], box["y"] + v["y"]
        return left + (x + 0.5) * v["scale"], top + (y + 0.5) * v["scale"]

    def click(self, y: float, x: float) -> None:
        self.page.mouse.click(*self.screen(y, x))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*self.screen(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.screen(*end), steps=6)
        self.page.mouse.up()
