"""Times of the page on the screen: ``python benchmarks/view_screen.py RESULTS``.

A headless browser steps through the first movie of the folder RESULTS, and the model draws boxes
in it. Then the browser opens a made-up tissue of 100,000 cells and moves over it. Beside the time
by the clock stands that of the processor, of server and browser together: it says more where other
programs run at the same time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import sync_playwright
from processor_time import busy_s
from view_speed import make_tissue

import cellsam_core as cc

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIDE_PX, ALONG = 13, 317
"""The made-up cells: 317 x 317 on a grid."""
STEP = """async ([frame]) => {
  const { setFrame } = await import('./static/choose.js');
  const began = performance.now();
  setFrame(frame);
  while (document.body.dataset.frame !== String(frame)) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""
PAN = """async ([x, y]) => {
  const { viewer } = await import('./static/image.js');
  const tick = () => new Promise(requestAnimationFrame);
  const began = performance.now();
  viewer.viewport.panTo(new OpenSeadragon.Point(x, y), true);
  await tick();
  await tick();
  const drawn = performance.now() - began;
  const count = viewer.world.getItemCount();
  const items = [...Array(count).keys()].map((k) => viewer.world.getItemAt(k));
  while (!items.every((i) => i.getOpacity() === 0 || i.getFullyLoaded())) await tick();
  return [drawn, performance.now() - began];
}"""


def main() -> None:
    """Measure and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder of results with a movie")
    args = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver, tempfile.TemporaryDirectory() as temporary:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        work_on_movie(browser, args.results, Path(temporary))
        made = Path(temporary) / "results"
        make_tissue(made / "large", SIDE_PX * ALONG, ALONG**2, 1_000_000)
        work_on_tissue(browser, made, Path(temporary))
        browser.close()


def work_on_movie(browser: Any, results: Path, folder: Path) -> None:
    """Step through a movie, and draw boxes in it."""
    served = cc.view(results, corrections=folder / "corrections")
    with httpx.Client(base_url=served.url + "api/", timeout=600) as client:
        samples = client.get("state").json()["samples"]
        sample = next(s for s in samples if s["assay"] == "movie")
        page = opened(browser, f"{served.url}#sample={sample['name']}&frame=0", sample["name"])
        page.wait_for_timeout(1500)
        last = min(23, sample["frames"]) - 1
        for name, frames in (("next", range(1, last + 1)), ("back", range(last - 1, -1, -1))):
            busy = busy_s()
            steps = [page.evaluate(STEP, [k]) for k in frames]
            show(f"frame, {name}", steps, 1000 * (busy_s() - busy) / len(steps))
        page.context.close()
        draw_boxes(client, sample)
    served.close()


def draw_boxes(client: httpx.Client, sample: dict[str, Any]) -> None:
    """Draw two boxes in each of some frames: the first needs the features of its window."""
    name, keys = sample["name"], ("first box of a window", "second box of it")
    times: dict[str, list[float]] = {key: [] for key in keys}
    worked: dict[str, list[float]] = {key: [] for key in keys}
    began = time.perf_counter()
    while (state := client.post(f"{name}/model", json={}).json())["model"] == "loading":
        time.sleep(0.1)
    print(f"model {state['model']} after {time.perf_counter() - began:.1f} s", flush=True)
    y, x = sample["height"] / 2, sample["width"] / 2
    for frame in range(min(8, sample["frames"])):
        for key, by in zip(times, (0, 2), strict=True):
            box = [x - 15 + by, y - 15, x + 15 + by, y + 15]
            began, busy = time.perf_counter(), time.process_time()
            answer = client.post(f"{name}/prompt", json={"t": frame, "boxes": [box]})
            answer.raise_for_status()
            times[key].append(1000 * (time.perf_counter() - began))
            worked[key].append(1000 * (time.process_time() - busy))
    for key, values in times.items():
        show(key, values, float(np.median(worked[key])))


def work_on_tissue(browser: Any, results: Path, folder: Path) -> None:
    """Open a tissue of 100,000 cells and move over it."""
    served = cc.view(results, corrections=folder / "corrections")
    for _ in range(3):
        began, busy = time.perf_counter(), busy_s()
        page = opened(browser, f"{served.url}#sample=large", "large")
        took = 1000 * (time.perf_counter() - began)
        show(f"first picture of {ALONG**2} cells", [took], 1000 * (busy_s() - busy))
        page.wait_for_timeout(1500)
        rng = np.random.default_rng(0)
        for factor in (4, 4):
            page.evaluate("([f]) => import('./static/image.js').then((m) => m.zoomBy(f))", [factor])
            page.wait_for_timeout(1500)
            busy = busy_s()
            moves = [page.evaluate(PAN, rng.uniform(0.2, 0.8, 2).tolist()) for _ in range(11)]
            worked = 1000 * (busy_s() - busy) / len(moves)
            show("move, drawn", [move[0] for move in moves], worked)
            show("move, all tiles there", [move[1] for move in moves])
        page.context.close()
    served.close()


def opened(browser: Any, url: str, sample: str) -> Any:
    """Open the page and wait for the picture."""
    page = browser.new_context(viewport={"width": 1280, "height": 820}).new_page()
    page.set_default_timeout(120_000)
    page.goto(url)
    where = f"body[data-sample='{sample}'][data-frame='0'][data-busy='false']"
    page.wait_for_selector(where, state="attached")
    return page


def show(name: str, ms: list[float], worked_ms: float | None = None) -> None:
    """Print the median and the slowest, and the time of the processor for each."""
    worked = "" if worked_ms is None else f", {worked_ms:.0f} ms of the processor"
    least, most = min(ms), max(ms)
    print(
        f"{name}: {np.median(ms):.0f} ms, {least:.0f} to {most:.0f} ms{worked}, n={len(ms)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
