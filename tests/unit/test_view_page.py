"""The page of `cellsam-core view`, in a headless browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_results import N_FRAMES
from view_browser import Tab
from view_results import HOSTILE, Discs, checksums

from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.files import omezarr
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.viewer.options import ViewOptions
from cellsam_core.viewer.stage import Page, view

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(shown_results: Path) -> Iterator[Page]:
    page = view(shown_results)
    yield page
    page.close()


def test_it_opens_lists_the_samples_and_asks_nobody_else(tab: Tab, served: Page):
    page = tab.open(served.url, "movie")
    names = page.locator("select[aria-label=Sample] option").all_inner_texts()
    assert names == [HOSTILE, "movie", "tissue"]
    page.select_option("select[aria-label=Sample]", HOSTILE)
    tab.wait(sample=HOSTILE.replace('"', '\\"'))
    assert page.locator("#curtain").inner_text().startswith("The image is not made yet")
    assert page.locator("img[onerror]").count() == 0
    page.select_option("select[aria-label=Sample]", "tissue")
    tab.wait(sample="tissue", frame=0)
    assert [status for status in tab.statuses if status[0] >= 400] == []
    assert tab.errors == []
    own = f"http://127.0.0.1:{served.port}/"
    assert [a for a in tab.addresses if not a.startswith((own, "data:", "blob:"))] == []


def test_every_button_has_a_name(tab: Tab, served: Page):
    page = tab.open(served.url, "movie")
    page.keyboard.press("?")
    page.get_by_role("region", name="Keys").wait_for()
    page.keyboard.press("Escape")
    nameless = page.locator("button").evaluate_all(
        "all => all.filter(b => !(b.textContent.trim() || b.ariaLabel || b.title)).length"
    )
    assert nameless == 0


def test_frames_are_those_of_the_movie(tab: Tab, served: Page, shown_results: Path):
    page = tab.open(served.url, "movie")
    image = omezarr.open_(shown_results / "movie/1_preprocessed/frames.zarr")
    page.keyboard.press("h")
    page.get_by_role("button", name="labels").press("l")  # fills
    page.keyboard.press("l")  # off
    page.keyboard.press("t")
    for keys, frame in (("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10)):
        page.keyboard.press(keys)
        tab.wait(frame=frame, busy="false")
        places = ((115, 50 + frame), (80, 160))  # a cell that moves, and background
        means = [mean_grey(tab, y, x) for y, x in places]
        wanted = [shown_grey(image, frame, y, x) for y, x in places]
        np.testing.assert_allclose(means, wanted, atol=4)
    page.get_by_label("Frame", exact=True).fill("4")
    tab.wait(frame=4, busy="false")
    page.keyboard.press(" ")
    tab.wait(frame=6)
    page.keyboard.press(" ")


def test_the_whole_image_stays_in_view_while_its_room_changes(tab: Tab, served: Page):
    page = tab.open(served.url, "movie")
    page.keyboard.press("ArrowLeft")
    page.locator("#say").get_by_text("This is the first frame.").wait_for()
    wait_until_whole(page)
    page.keyboard.press("?")
    page.set_viewport_size({"width": 1000, "height": 480})
    wait_until_whole(page)
    page.keyboard.press("+")
    page.set_viewport_size({"width": 1200, "height": 760})
    page.wait_for_timeout(300)
    assert view_of(page)["w"] < view_of(page)["scale"] * view_of(page)["width"]  # not undone


def view_of(page: Any) -> dict[str, float]:
    """Scale and corner of the image, and size of its room, on the screen."""
    found: dict[str, float] = page.evaluate(
        """async () => {
          const { view } = await import('./static/image.js');
          const { sample } = (await import('./static/state.js')).state;
          return { ...view(), width: sample.width, height: sample.height };
        }"""
    )
    return found


def wait_until_whole(page: Any) -> None:
    """Wait until the image fills its room in one direction and lies inside it in both."""
    for _ in range(100):
        v = view_of(page)
        sides = v["width"] * v["scale"], v["height"] * v["scale"]
        is_inside = v["x"] > -1 and v["y"] > -1 and sides[0] < v["w"] + 1 and sides[1] < v["h"] + 1
        if is_inside and max(sides[0] / v["w"], sides[1] / v["h"]) > 0.95:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"The image is cut or small: {v}")


def mean_grey(tab: Tab, y: int, x: int) -> float:
    """Mean of the picture in 11 x 11 px of the image, read from the screen."""
    import imagecodecs

    left, top = tab.screen(y - 5.5, x - 5.5)
    right, bottom = tab.screen(y + 5.5, x + 5.5)
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
    shot = imagecodecs.png_decode(tab.page.screenshot(clip=clip))
    return float(shot[..., :3].mean())


def shown_grey(image: omezarr.OmeZarr, frame: int, y: int, x: int) -> float:
    from cellsam_core.viewer.pyramid import ChunkCache, Pyramid
    from cellsam_core.viewer.tiles import histogram

    _, low, high = histogram(Pyramid(image, ChunkCache()), 0)
    part = image.frame(frame)[0, y - 5 : y + 6, x - 5 : x + 6].astype(float)
    return float(np.clip((part - round(low)) * 255 / (round(high) - round(low)), 0, 255).mean())


def test_clicks_choose_cells_with_their_track_and_trace(
    tab: Tab, served: Page, shown_results: Path
):
    page = tab.open(served.url, "movie", 8)
    objects = pd.read_parquet(shown_results / "movie/3_tracks/objects.parquet")
    traces = pd.read_parquet(shown_results / "movie/3_tracks/traces.parquet")
    for cell in objects[objects["frame"] == 8].itertuples():
        page.mouse.move(*tab.screen(cell.y, cell.x))
        tab.wait(hover=cell.label)
        tab.click(cell.y, cell.x)
        tab.wait(chosen=f"8:{cell.label}")
        panel = page.locator("#cell")
        panel.get_by_text(f"label {cell.label} in frame 8").wait_for()
        assert panel.locator("h2").inner_text() == f"Track {cell.track_id}"
        assert f"{cell.area_px} px" in panel.inner_text()
        own = traces[(traces["track_id"] == cell.track_id) & (traces["compartment"] == "cell")]
        drawn = panel.locator(".trace").get_attribute("data-points")
        assert int(drawn or 0) == own["valid"].sum()
    box = page.locator(".trace .u-over").bounding_box()
    assert box is not None
    before = page.locator(".trace").screenshot()
    page.mouse.click(box["x"] + box["width"] * 3 / (N_FRAMES - 1), box["y"] + 20)
    tab.wait(frame=3)
    page.mouse.move(5, 5)
    changes(page, ".trace", before)  # the line of the frame has moved


def test_a_daughter_in_the_tree_leads_to_her_first_frame(tab: Tab, served: Page):
    page = tab.open(served.url, "movie", 2)
    tab.click(110, 130)
    tab.wait(chosen="2:4")
    tree = page.locator("#lineage")
    tree.locator("[data-track]").nth(2).wait_for()
    assert tree.locator("[data-track]").count() == 3
    tree.locator('[data-track="6"]').click()
    tab.wait(frame=7, chosen="7:5")
    page.locator("#queue tbody tr").first.click()
    page.wait_for_selector("body:not([data-chosen='7:5'])")


def test_contrast_and_channels_change_the_picture(tab: Tab, served: Page):
    page = tab.open(served.url, "tissue")
    page.wait_for_timeout(300)
    shot = page.locator("#picture").screenshot()
    page.keyboard.press("Alt+1")
    shot = changes(page, "#picture", shot)
    page.locator("summary").nth(1).click()
    slider = page.get_by_label("cell: full from")
    slider.fill(str(int(slider.input_value()) // 128 * 64))  # half as high, in steps of 64
    page.locator("summary").nth(1).click()
    shot = changes(page, "#picture", shot)
    for word in ("fills", "off", "outlines"):
        page.keyboard.press("l")
        page.get_by_role("button", name=f"labels: {word}").wait_for()
        shot = changes(page, "#picture", shot)
    assert [status for status in tab.statuses if status[0] >= 400] == []


def changes(page, selector: str, before: bytes) -> bytes:
    """Wait until a part of the page looks otherwise than before; return its new picture."""
    for _ in range(200):
        after: bytes = page.locator(selector).screenshot()
        if after != before:
            return after
        page.wait_for_timeout(50)
    raise AssertionError(f"{selector} stays the same")


def test_genes_of_a_tissue_colour_cells_and_are_drawn_as_points(
    tab: Tab, served: Page, shown_results: Path
):
    import anndata

    page = tab.open(served.url, "tissue")
    adata = anndata.read_h5ad(shown_results / "tissue/3_cells/cells.h5ad")
    counts = np.asarray(adata[:, "Gapdh"].X.todense()).ravel()
    page.get_by_label("Colour cells by").select_option(label="Gapdh")
    ends = page.locator(".legend .ends span")
    ends.first.wait_for()
    assert [float(text) for text in ends.all_inner_texts()] == [counts.min(), counts.max()]
    cells = pd.read_parquet(shown_results / "tissue/2_masks/cells.parquet").set_index("label")
    for row, colour in ((counts.argmax(), YELLOW), (counts.argmin(), VIOLET)):
        cell = cells.loc[adata.obs["cell_id"].iloc[row]]
        np.testing.assert_allclose(drawn_colour(tab, cell["y"], cell["x"]), colour, atol=4)
    page.get_by_label("Transcripts of Gapdh").check()
    table = pd.read_parquet(shown_results / "tissue/3_cells/transcripts.parquet")
    n = int((table["feature"].astype(str) == "Gapdh").sum())
    page.wait_for_selector(f'body[data-transcripts="points {n}"]', state="attached")
    page.locator("#doubts tbody tr").first.click()
    page.locator("#cell .counts").wait_for()


YELLOW, VIOLET = (253, 231, 37), (71, 45, 123)
"""Ends of the colour scale."""


def drawn_colour(tab: Tab, y: float, x: float) -> list[int]:
    """Red, green and blue that a cell is filled with."""
    box = tab.page.locator("#picture").bounding_box()
    assert box is not None
    sx, sy = tab.screen(y, x)
    code = """([x, y]) => [...document.getElementById("labels").getContext("2d")
        .getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3)"""
    found: list[int] = tab.page.evaluate(code, [sx - box["x"], sy - box["y"]])
    return found


def test_a_forwarded_port_works(tab: Tab, shown_results: Path, tmp_path: Path):
    served = view(shown_results, corrections=tmp_path / "c")
    relay = Relay(served.port)
    try:
        url = served.url.replace(str(served.port), str(relay.port))
        page = tab.open(url, "movie", 5)
        tab.click(40, 45)
        tab.wait(chosen="5:1")
        page.keyboard.press("d")
        tab.wait(cellrows=1)
        page.keyboard.press("z")
        tab.wait(cellrows=0)
        assert tab.errors == []
    finally:
        relay.close()
        served.close()


class Relay:
    """A port that forwards to another, as `ssh -L` does."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self._to))
            for pair in ((one, other), (other, one)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listening.close()


def test_a_server_that_is_gone_is_told_and_found_again(tab: Tab, shown_results: Path):
    first = view(shown_results, token="fixed-token")
    tab.open(first.url, "movie")
    first.close()
    tab.wait(connected="false")
    tab.page.get_by_role("alert").wait_for()
    second = view(shown_results, ViewOptions(port=first.port), token="fixed-token")
    try:
        tab.wait(connected="true")
        tab.page.keyboard.press("ArrowRight")
        tab.wait(frame=1, busy="false")
    finally:
        second.close()


def test_a_step_is_never_blank(tab: Tab, served: Page):
    page = tab.open(served.url, "movie")
    for frame in [*range(1, N_FRAMES), *range(N_FRAMES - 2, -1, -1)]:
        page.keyboard.press("ArrowRight" if frame > int(tab.data("frame")) else "ArrowLeft")
        if frame % 4 == 0:  # while the new frame is on its way
            assert mean_grey(tab, 40, 45) > 20
        tab.wait(frame=frame)


def test_tracks_are_corrected_by_keyboard_and_the_results_stay(
    tab: Tab, shown_results: Path, tmp_path: Path
):
    before = checksums(shown_results)
    served = view(shown_results, corrections=tmp_path / "corrections")
    table = tmp_path / "corrections/movie.tracks.csv"
    tab.page.route("**/seen", lambda route: None)  # the page does not look at the table by itself
    try:
        page = tab.open(served.url, "movie", 5)
        page.keyboard.press("ArrowDown")
        tab.wait(row=0)
        share = page.locator("#doubt .share")
        before_it = float(share.inner_text().rstrip(" %"))
        page.keyboard.press("Enter")  # confirms, and goes to the next row
        tab.wait(row=1)
        page.get_by_text("Z takes it back. Doubt 2 of").wait_for()
        assert float(share.inner_text().rstrip(" %")) > before_it
        n = len(read_corrections(table))
        tab.wait(rows=n, waiting=n)
        page.keyboard.press("b")
        tab.wait(rows=n + 1)
        page.keyboard.press("z")
        tab.wait(rows=n)
        page.keyboard.press("r")
        tab.wait(rows=n + 1)
        page.keyboard.press("Escape")
        page.get_by_label("Frame", exact=True).fill("5")
        page.keyboard.press("f")
        tab.wait(frame=5, busy="false")
        page.wait_for_timeout(500)
        tab.click(40, 45)
        tab.wait(chosen="5:1")
        page.keyboard.down("Shift")
        tab.click(40, 115)
        page.keyboard.up("Shift")
        tab.wait(chosen="5:1 5:2")
        page.get_by_role("button", name="swap").click()
        tab.wait(rows=n + 3)
        assert page.locator("#history tbody tr").count() == n + 3
        found = [(c.operation, c.frame) for c in read_corrections(table)]
        assert found[n][0] == "unlink"
        assert found[n + 1 :] == [("link", 6), ("link", 6)]
        page.keyboard.press("b")  # of two chosen cells: a sentence
        page.get_by_text("expected one cell").wait_for()
        table.write_text(table.read_text() + "unlink,3,1,,\n")
        page.keyboard.press("z")  # the table was changed outside: nothing is lost
        page.get_by_text("changed outside").wait_for()
        tab.wait(rows=n + 4)
        page.get_by_role("button", name="back to it").wait_for()
        page.keyboard.press("Enter")  # the doubt is out of sight: it is shown, not answered
        page.locator("#doubt .question").wait_for()
        page.keyboard.press("o")
        page.keyboard.press("Enter")  # nor by a key that was meant for a tool
        page.get_by_text("three corners or more").wait_for()
        tab.wait(rows=n + 4)
    finally:
        served.close()
    assert checksums(shown_results) == before


def test_a_page_that_only_looks_has_no_tools(tab: Tab, shown_results: Path, tmp_path: Path):
    served = view(shown_results, ViewOptions(read_only=True), corrections=tmp_path / "c")
    try:
        page = tab.open(served.url, "movie", 5)
        page.get_by_text("started with --read-only").wait_for()
        assert page.get_by_role("button", name="swap").count() == 0
        tab.click(40, 45)
        page.keyboard.press("d")
        page.wait_for_timeout(200)
        assert not (tmp_path / "c").exists()
    finally:
        served.close()


def test_cells_are_drawn_cut_and_deleted(tab: Tab, shown_results: Path, tmp_path: Path):
    served = view(shown_results, corrections=tmp_path / "c", load=lambda weights: Discs())
    try:
        page = tab.open(served.url, "movie", 5)
        page.keyboard.press("x")
        tab.wait(tool="box", model="ready")
        tab.drag((68, 148), (92, 172))
        tab.wait(proposal="yes")
        page.keyboard.press("Escape")  # nothing is written
        tab.wait(proposal="", tool="", cellrows=0)
        page.keyboard.press("x")
        tab.drag((68, 148), (92, 172))
        tab.wait(proposal="yes")
        page.keyboard.press("c")
        tab.wait(proposal="", cellrows=1, waiting=1)
        page.keyboard.press("o")
        for y, x in ((60, 150), (60, 170), (50, 160)):
            tab.click(y, x)
        page.keyboard.press("Enter")
        tab.wait(cellrows=2)
        page.keyboard.press("Escape")
        tab.click(40, 115)
        tab.wait(chosen="5:2")
        page.keyboard.press("k")
        tab.drag((60, 116), (62, 130))  # does not divide the cell
        page.get_by_text("does not divide").wait_for()
        tab.drag((20, 115), (60, 115))
        tab.wait(cellrows=3, tool="")
        tab.click(40, 45)
        tab.wait(chosen="5:1")
        page.keyboard.press("d")
        tab.wait(cellrows=4)
        page.keyboard.press("z")
        tab.wait(cellrows=3)
        found = [c.operation for c in read_cell_corrections(tmp_path / "c/movie.cells.csv")]
        assert found == ["add", "add", "split"]
    finally:
        served.close()
