"""All fields of a CosMx export as one sample: placed on one image, each transcript once."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
from refusals import follow
from test_spatial import inspect
from test_vendors import labels_of_two_cells, make_cosmx, rows

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.reporting.sections.cells import counts_by_field
from cellsam_core.run_plan.extent import Extent, read_extent
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.transcripts import iter_transcripts
from cellsam_core.segmentation import image

SIZE_UM = 0.120280945
# Slide pixels of the fields' first pixels, and where they then lie on the image; fields are 40 x 60
# px. Field 2 touches field 1, field 5 lies apart.
Y_UP = {1: (5000.3, 9000.0), 2: (5060.3, 9000.4), 5: (5100.0, 8900.0)}
Y_DOWN = {1: (5000.3, 9000.0), 2: (5060.3, 8999.6), 5: (5100.0, 9100.0)}
PLACES = {1: (0, 0), 2: (0, 60), 5: (100, 100)}


def tables(folder: Path) -> Path:
    return next(folder.rglob("*_tx_file.csv.gz"))


def edit_table(folder: Path, change) -> None:
    path = tables(folder)
    table = change(pd.read_csv(path))
    path.write_bytes(gzip.compress(table.to_csv(index=False).encode()))


@pytest.mark.parametrize(("corners", "y_sign"), [(Y_UP, -1), (Y_DOWN, 1)])
def test_fields_lie_where_the_table_has_them(tmp_path, corners, y_sign):
    folder = make_cosmx(tmp_path, (1, 2, 5), corners, y_sign)
    found = inspect(folder)
    assert (found.shape_yx, found.n_frames, found.labels) == ((140, 160), 1, None)
    assert found.pixel_size_um == pytest.approx(SIZE_UM)
    assert found.transcripts is not None
    assert found.warnings == ["3 fields of view are laid out on one image."]
    (tmp_path / "m.json").write_text(found.to_json())
    assert Manifest.load(tmp_path / "m.json") == found
    table = rows(found)
    written = pd.read_csv(tables(folder))
    assert table["fov"] == written["fov"].tolist()
    top, left = np.array([PLACES[fov] for fov in written["fov"]]).T
    np.testing.assert_array_equal(table["x_px"], written["x_local_px"] + left)
    np.testing.assert_array_equal(table["y_px"], written["y_local_px"] + top)
    # The slide's own coordinates, up to the whole pixels that fields are placed to.
    for axis in "xy":
        off = np.array(table[f"{axis}_um"]) / SIZE_UM - written[f"{axis}_global_px"]
        assert np.abs(off).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("numbers", [2, 1, 5]),
        ("numbers", [1, 2]),
        ("offset_yx", [[0, 0], [0, 60], [100, 101]]),
        ("offset_yx", [[0, 0], [0, 60], [-1, 100]]),
        ("shape_yx", [40, 0]),
        ("shape_yx", "4060"),
    ],
)
def test_a_manifest_whose_fields_contradict_themselves_is_refused(tmp_path, name, value):
    content = json.loads(inspect(make_cosmx(tmp_path, (1, 2, 5), Y_UP)).to_json())
    content["transcripts"]["fields"][name] = value
    (tmp_path / "m.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="no manifest"):
        Manifest.load(tmp_path / "m.json")


@pytest.mark.parametrize("window", [None, (10, 120, 30, 150), (50, 90, 0, 90)])
def test_the_image_is_that_of_the_fields(tmp_path, window):
    found = inspect(make_cosmx(tmp_path, (1, 2, 5), Y_UP))
    stain = np.arange(2 * 40 * 60, dtype=np.uint16).reshape(2, 40, 60)
    expected = np.empty((2, 140, 160), np.uint16)
    expected[:] = stain.min(axis=(1, 2), keepdims=True)
    for top, left in PLACES.values():
        expected[:, top : top + 40, left : left + 60] = stain
    y0, y1, x0, x1 = window or (0, 140, 0, 160)
    np.testing.assert_array_equal(read_frame(found, 0, None, window), expected[:, y0:y1, x0:x1])
    dna = read_frame(found, 0, ["DNA"], window)
    np.testing.assert_array_equal(dna[0], expected[1, y0:y1, x0:x1])


def test_the_contrast_does_not_depend_on_how_far_apart_fields_lie(tmp_path):
    shown = []
    for distance in (60, 900):
        folder = make_cosmx(tmp_path / str(distance), (1, 2), {1: (0, 0), 2: (distance, 0)})
        (tmp_path / "m.json").write_text(inspect(folder).to_json())
        store = tmp_path / f"{distance}.zarr"
        arguments = [str(tmp_path / "m.json"), "--nuclear-channel", "DNA", "-o", str(store)]
        assert main(["preprocess", *arguments]) == 0
        shown.append(omezarr.open_(store).read(np.s_[0, :40, :60]))
    assert shown[0].max() == 65535
    np.testing.assert_array_equal(*shown)


def test_what_two_fields_show_is_counted_once(tmp_path):
    # Field 2 begins 20 px left of the end of field 1: the border is in the middle, at 49.5.
    folder = make_cosmx(tmp_path, (1, 2), {1: (0.0, 0.0), 2: (40.0, 0.0)})
    found = inspect(folder)
    assert found.shape_yx == (40, 100)
    table = rows(found)
    # Of each field at 6, 24, 31, 58; on the image 6, 24, 31, 58 and 46, 64, 71, 98.
    assert list(zip(table["fov"], table["x_px"], strict=True)) == [
        *((1, 6), (1, 24), (1, 31)),
        *((2, 64), (2, 71), (2, 98)),
    ]
    assert found.transcripts is not None
    assert found.transcripts.n_rows == 6
    assert "2 of 8 transcripts lie where fields overlap" in found.warnings[-1]
    stain = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60)
    image = read_frame(found, 0)[0]
    np.testing.assert_array_equal(image[:, :50], stain[:, :50])
    np.testing.assert_array_equal(image[:, 50:], stain[:, 10:])


@pytest.mark.parametrize("chunk_rows", [1, 5])
def test_fields_are_the_same_in_any_chunks(tmp_path, chunk_rows):
    found = inspect(make_cosmx(tmp_path, (1, 2, 5), Y_UP))
    assert found.transcripts is not None
    batches = iter_transcripts(found.transcripts, chunk_rows)
    columns = [batch.to_pydict() for batch in batches]
    whole = rows(found)
    assert {name: [v for part in columns for v in part[name]] for name in whole} == whole


def write_positions(folder: Path, table: dict[str, list[float]]) -> None:
    pd.DataFrame(table).to_csv(folder / "flatFiles" / "slide_fov_positions_file.csv", index=False)


def test_the_list_of_positions_places_a_field_without_transcripts(tmp_path):
    folder = make_cosmx(tmp_path, (1, 2, 5), Y_UP)
    edit_table(folder, lambda table: table[table["fov"] != 5])
    lost = inspect(folder)
    assert lost.shape_yx == (40, 120)
    assert "1 fields without transcripts have no place" in lost.warnings[-1]
    # Of another corner, the same for all; field 9 has no image.
    corners = Y_UP | {9: (0.0, 0.0)}
    x, y = zip(*corners.values(), strict=True)
    positions = {"FOV": list(corners), "x_global_px": x, "y_global_px": np.array(y) - 40}
    write_positions(folder, positions)
    found = inspect(folder)
    assert found.shape_yx == (140, 160)
    assert found.fields is not None
    assert found.fields.numbers == (1, 2, 5)
    assert len(rows(found)["fov"]) == 8
    # In millimetres of the stage alone it is not used.
    write_positions(folder, {"FOV": [1, 2, 5], "X_mm": [1, 2, 3], "Y_mm": [1, 2, 3]})
    assert inspect(folder).shape_yx == (40, 120)


def shift_rows(rows: slice, column: str, by: float):
    def change(table: pd.DataFrame) -> pd.DataFrame:
        moved = table.astype({column: float})
        moved.loc[moved.index[rows], column] += by
        return moved

    return change


def turn_over_field_2(table: pd.DataFrame) -> pd.DataFrame:
    other = table["y_global_px"].where(table["fov"] != 2, 9000 + table["y_local_px"])
    return table.assign(y_global_px=other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shift_rows(slice(1, 2), "x_global_px", 30), "no one offset of x in field 1"),
        (shift_rows(slice(5, 6), "y_global_px", 30), "no one offset of y in field 2"),
        (turn_over_field_2, "y up in some fields and down in others"),
        (
            lambda table: table.drop_duplicates("fov"),
            "too few transcripts to tell the direction of y",
        ),
        (shift_rows(slice(4, 8), "x_global_px", -50), "fields 1 and 2 on top of each other"),
        (shift_rows(slice(4, 8), "x_global_px", 1e7), "scattered"),
        (lambda table: table.drop(columns="x_global_px"), "no column x_global_px"),
    ],
)
def test_fields_without_a_place_are_refused(tmp_path, change, message):
    folder = make_cosmx(tmp_path)
    edit_table(folder, change)
    with pytest.raises(InputError, match=message):
        inspect(folder)
    if message == "scattered":
        mend = lambda: edit_table(folder, shift_rows(slice(4, 8), "x_global_px", -1e7))  # noqa: E731
        follow(lambda: inspect(folder), "correct their positions", mend)
        return
    one = lambda: inspect(folder, fov="1")  # noqa: E731
    found = follow(lambda: inspect(folder), "name one field in the column fov", then=one)
    assert found.fields is None


def test_a_table_without_rows_is_refused(tmp_path):
    folder = make_cosmx(tmp_path)
    edit_table(folder, lambda table: table[:0])
    with pytest.raises(InputError):
        inspect(folder)


def test_what_does_not_fit_together_is_refused(tmp_path):
    folder = make_cosmx(tmp_path)
    positions = {"fov": [1, 2], "x_global_px": [5060, 5120], "y_global_px": [9000, 9100]}
    write_positions(folder, positions)
    with pytest.raises(InputError, match=r"field [12] at another place than the transcripts say"):
        inspect(folder)
    for fov, message in ((3, "or not at all"), (1, "field 1 more than once")):
        write_positions(folder, positions | {"fov": [fov, fov + 5 * (fov == 3)]})
        with pytest.raises(InputError, match=message):
            inspect(folder)
    next(folder.rglob("*_fov_positions_file.csv")).unlink()
    stain = next(folder.rglob("2026_S1_F00002.TIF"))
    other = np.zeros((2, 30, 60), np.uint16)
    pages = {"description": tifffile.TiffFile(stain).pages[0].description, "metadata": {}}
    tifffile.imwrite(stain, other, photometric="minisblack", **pages)
    with pytest.raises(InputError, match="field 2 with other stains or of another size"):
        inspect(folder)
    stain.unlink()
    with pytest.raises(InputError, match="stain image of field 2"):
        inspect(folder)


def test_a_turned_over_image_is_found_by_the_labels(tmp_path):
    folder = make_cosmx(tmp_path)
    tifffile.imwrite(next(folder.rglob("CellLabels_F00001.tif")), labels_of_two_cells()[::-1])
    with pytest.raises(InputError, match="0 % of transcripts on the label of their own cell"):
        inspect(folder)


def test_the_extent_is_that_of_all_fields(tmp_path):
    folder = make_cosmx(tmp_path, (1, 2, 5))
    assert read_extent(folder, is_movie=False) == Extent(3, (40, 60))
    assert read_extent(folder, is_movie=False, fov="2") == Extent(1, (40, 60))


def test_cells_of_all_fields_are_one_table(tmp_path):
    folder = make_cosmx(tmp_path / "export", (1, 2, 5), Y_UP)
    command = ["inspect", str(folder), "--sample", "s", "--assay", "merfish"]
    assert main([*command, "-o", str(tmp_path / "m.json")]) == 0
    assert main(["preprocess", str(tmp_path / "m.json"), "-o", str(tmp_path / "f.zarr")]) == 0
    assert omezarr.open_(tmp_path / "f.zarr").shape_yx == (140, 160)
    labels = np.zeros((140, 160), np.uint32)
    for i, (top, left) in enumerate(PLACES.values()):
        own = labels_of_two_cells()
        labels[top : top + 40, left : left + 60] = np.where(own > 0, own + 100 * i, 0)
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    files = ["--manifest", str(tmp_path / "m.json"), "--labels", str(tmp_path / "labels.tif")]
    assert main(["assign", *files, "--sample", "s", "-o", str(tmp_path / "out")]) == 0
    out = pq.read_table(tmp_path / "out/transcripts.parquet").to_pydict()
    assert out["fov"] == [1] * 4 + [2] * 4 + [5] * 4
    assert out["cell_id"] == [7, 7, 12, 0, 107, 107, 112, 0, 207, 207, 212, 0]
    assert out["vendor_cell_id"] == ["7", "7", "12", None] * 3
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    assert cells.obs["fov"].tolist() == [1, 1, 2, 2, 5, 5]
    assert cells.obs["n_transcripts"].tolist() == [2, 1] * 3
    assert not cells.obs["touches_border"].any()
    assert cells.obs_names.is_unique
    # On the slide y points up: the lower field has the smaller y.
    centres = np.array([(14.5, 9.5), (42, 27)])
    slide = [np.array(Y_UP[fov]) + [1, -1] * centres for fov in (1, 2, 5)]
    np.testing.assert_allclose(
        cells.obsm["spatial"] / SIZE_UM, np.concatenate(slide), atol=0.5 + 1e-6
    )


def test_a_field_that_came_later_is_named(tmp_path):
    found = inspect(make_cosmx(tmp_path))
    edit_table(tmp_path, lambda table: table.replace({"fov": {2: 9}}))
    with pytest.raises(InputError, match="transcripts of field 9"):
        rows(found)


def test_no_cells_in_fields(tmp_path):
    found = inspect(make_cosmx(tmp_path, (1, 2, 5), Y_UP))
    tifffile.imwrite(tmp_path / "labels.tif", np.zeros(found.shape_yx, np.uint32))
    (tmp_path / "m.json").write_text(found.to_json())
    files = ["--manifest", str(tmp_path / "m.json"), "--labels", str(tmp_path / "labels.tif")]
    assert main(["assign", *files, "-o", str(tmp_path / "out")]) == 0
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad").obs
    assert (len(cells), "fov" in cells) == (0, True)


def test_a_turned_over_image_is_found_in_a_field_with_transcripts(tmp_path):
    folder = make_cosmx(tmp_path, (1, 2, 5), Y_UP)
    edit_table(folder, lambda table: table[table["fov"] != 1])
    x, y = zip(*Y_UP.values(), strict=True)
    write_positions(folder, {"FOV": list(Y_UP), "x_global_px": x, "y_global_px": y})
    fields = inspect(folder).fields
    assert fields is not None
    assert fields.numbers == (1, 2, 5)
    tifffile.imwrite(next(folder.rglob("CellLabels_F00002.tif")), labels_of_two_cells()[::-1])
    with pytest.raises(InputError, match="0 % of transcripts on the label of their own cell"):
        inspect(folder)


def test_a_cell_at_an_edge_without_a_neighbour_touches_the_border(tmp_path):
    found = inspect(make_cosmx(tmp_path, (1, 2, 5), Y_UP))
    labels = np.zeros(found.shape_yx, np.uint32)
    labels[10:20, 55:65] = 1  # over the border of the fields 1 and 2
    labels[30:40, 70:80] = 2  # at the lower edge of field 2, with nothing below
    labels[0:5, 10:15] = 3  # at the edge of the image
    labels[110:120, 110:120] = 4  # in field 5
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    (tmp_path / "m.json").write_text(found.to_json())
    files = ["--manifest", str(tmp_path / "m.json"), "--labels", str(tmp_path / "labels.tif")]
    assert main(["assign", *files, "-o", str(tmp_path / "out")]) == 0
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad").obs
    assert cells["fov"].tolist()[1:] == [2, 1, 5]
    assert cells["touches_border"].tolist() == [False, True, True, False]


def test_the_diameter_is_measured_where_there_is_a_field(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "REGION_PX", 32)
    store = omezarr.create(
        tmp_path / "f.zarr", shape=(1, 160, 160), axes="cyx", dtype="uint16", channels=("nuclear",)
    )
    noise = np.random.default_rng(0).integers(1, 60_000, (160, 160), dtype=np.uint16)
    pixels = np.full((160, 160), 500, np.uint16)
    pixels[:, :60] = noise[:, :60]
    store.array[0] = pixels
    seen = []

    class Segmenter:
        fits_tiles = True

        def measure_diameter_px(self, samples, limits_px=None):
            seen.extend(samples)
            return 20.0

    frames = image.open_frames(tmp_path / "f.zarr")
    assert image.estimate_diameter_of_frames(Segmenter(), frames) == 20
    assert all(not image.is_blank(sample) for sample in seen)
    assert (seen[0][0] * 65535 != 500).mean() > 0.5
    assert image.is_blank(seen[0][:, :1, :1])


def test_the_report_has_the_density_of_each_field(tmp_path):
    found = inspect(make_cosmx(tmp_path, (1, 2, 5), Y_UP))
    cells = pd.DataFrame({"fov": [1, 1, 5], "n_transcripts": [10, 20, 60]})
    assert found.fields is not None
    density = counts_by_field(found.fields, cells, found.pixel_size_um)
    area_um2 = 40 * 60 * SIZE_UM**2
    assert density == pytest.approx({"1": 3e4 / area_um2, "2": 0, "5": 6e4 / area_um2})
    fields = replace(found.fields, offset_yx=((0, 0), (0, 40), (100, 100)))
    density = counts_by_field(fields, cells, found.pixel_size_um)
    assert density["1"] == pytest.approx(3e4 / (40 * 50 * SIZE_UM**2), rel=0.02)


@pytest.mark.data
def test_real_fields_beside_each_other(shared_data, tmp_path):
    """The images, rows and cells are real; where the fields lie on the slide is made up."""
    data = shared_data / "spatial" / "cosmx_lung12_mini"
    for file in data.glob("*.tif"):
        (tmp_path / file.name).symlink_to(file)
    table = pd.read_csv(data / "transcripts.csv.gz")
    table = table.rename(columns={"x": "x_local_px", "y": "y_local_px"})
    left = np.where(table["fov"] == 2, 10_000.0, 10_672.0)
    table["x_global_px"] = (left + table["x_local_px"]).round(1)
    table["y_global_px"] = (7000.0 - table["y_local_px"]).round(1)
    table.to_csv(tmp_path / "lung_tx_file.csv", index=False)
    found = inspect(tmp_path, pixel_size_um=0.18, channels=["membrane", "PanCK", "DAPI"])
    assert found.shape_yx == (648, 1344)
    place = np.array(rows(found)["x_px"]) - table["x_local_px"]
    np.testing.assert_allclose(place, np.where(table["fov"] == 2, 0, 672), atol=1e-9)
    fields = [tifffile.imread(data / f"cells_label_F00{fov}.tif").astype(int) for fov in (2, 3)]
    n = fields[0].max()
    labels = np.hstack([fields[0], np.where(fields[1] > 0, fields[1] + n, 0)]).astype(np.uint32)
    tifffile.imwrite(tmp_path / "all.tif", labels)
    (tmp_path / "m.json").write_text(found.to_json())
    files = ["--manifest", str(tmp_path / "m.json"), "--labels", str(tmp_path / "all.tif")]
    assert main(["assign", *files, "-o", str(tmp_path / "out")]) == 0
    out = pq.read_table(tmp_path / "out/transcripts.parquet").to_pandas()
    assert len(out) == len(table)
    ours = np.where((out["fov"] == 3) & (out["cell_id"] > 0), out["cell_id"] - n, out["cell_id"])
    theirs = out["vendor_cell_id"].astype(str).replace("nan", "0").astype(int)
    assert (ours == theirs).mean() > 0.998


# Slides and images that are turned


def labels_askew() -> np.ndarray:
    """Label two cells that no turn brings onto each other."""
    labels = np.zeros((80, 120), np.uint16)
    labels[8:24, 8:32], labels[44:72, 46:80] = 1, 2
    return labels


def make_turned(
    folder: Path, *, slide: bool = False, image: str | None = None, with_labels: bool = True
) -> Path:
    """Write two fields side by side, of which the slide or the images are turned."""
    stains, cells = folder / "Morphology2D", folder / "CellLabels"
    stains.mkdir(parents=True)
    cells.mkdir()
    labels, rng, table = labels_askew(), np.random.default_rng(0), []
    turns = {"turned_180": np.s_[::-1, ::-1], "mirrored_x": np.s_[:, ::-1]}
    shown = labels[turns[image]] if image else labels
    for i, fov in enumerate((1, 2)):
        stain = (shown > 0) * 500 + rng.integers(20, 40, labels.shape)
        path = stains / f"x_S1_F{fov:05d}.TIF"
        tifffile.imwrite(path, stain.astype(np.uint16), photometric="minisblack", metadata={})
        if with_labels:
            tifffile.imwrite(cells / f"CellLabels_F{fov:05d}.tif", shown)
        y, x = np.nonzero(labels)
        sign = -1 if slide else 1
        for k in rng.integers(len(y), size=80):
            place = (2000 + sign * (120 * i + x[k]), 9000 - sign * y[k])
            table.append((fov, labels[y[k], x[k]], x[k], y[k], *place, "APOA1"))
    names = ["fov", "cell_ID", "x_local_px", "y_local_px", "x_global_px", "y_global_px", "target"]
    pd.DataFrame(table, columns=names).to_csv(folder / "S_tx_file.csv", index=False)
    return folder


def share_on_cells(found: Manifest) -> float:
    """Share of the transcripts that lie on bright pixels of the image as laid out."""
    frame = read_frame(found, 0)[0]
    table = rows(found)
    y, x = (np.rint(table[name]).astype(int) for name in ("y_px", "x_px"))
    return float((frame[y, x] > 400).mean())


CHOICES = {"channels": ["DNA"], "pixel_size_um": 0.12}


def test_a_slide_that_is_turned_against_its_images_is_laid_out(tmp_path):
    found = inspect(make_turned(tmp_path, slide=True), **CHOICES)
    assert found.shape_yx == (80, 240)
    assert found.warnings[-1].startswith("The slide's x runs to the left on the images")
    assert share_on_cells(found) == 1
    table = rows(found)
    written = pd.read_csv(tmp_path / "S_tx_file.csv")
    np.testing.assert_allclose(np.array(table["x_um"]) / 0.12, written["x_global_px"])
    np.testing.assert_allclose(np.array(table["y_um"]) / 0.12, written["y_global_px"])


@pytest.mark.parametrize("fov", [None, "2"])
@pytest.mark.parametrize("with_labels", [True, False])
@pytest.mark.parametrize("image", ["turned_180", "mirrored_x"])
def test_images_that_are_turned_are_refused_and_turned_as_told(tmp_path, image, with_labels, fov):
    folder = make_turned(tmp_path, image=image, with_labels=with_labels)
    options = CHOICES | {"fov": fov}
    message = "on the label of their own cell" if with_labels else "on a stain of the mean rank"
    with pytest.raises(InputError, match=message) as error:
        inspect(folder, **options)
    asked = str(error.value).partition("column orientation of the sample sheet with ")[2]
    asked = asked.partition(",")[0]
    assert asked == image
    found = follow(
        lambda: inspect(folder, **options),
        f"column orientation of the sample sheet with {image}",
        then=lambda: inspect(folder, **options, orientation=asked),
    )
    assert share_on_cells(found) == 1
    assert found.shape_yx == ((80, 120) if fov else (80, 240))
    (tmp_path / "m.json").write_text(found.to_json())
    assert Manifest.load(tmp_path / "m.json") == found
    if fov is None:  # places on the slide are what they were
        written = pd.read_csv(tmp_path / "S_tx_file.csv")
        x, y = (np.array(rows(found)[name]) / 0.12 for name in ("x_um", "y_um"))
        np.testing.assert_allclose(x, written["x_global_px"])
        np.testing.assert_allclose(y, written["y_global_px"])
    # Turned on top of what was asked for, another one is named.
    other = {"turned_180": "mirrored_x", "mirrored_x": "turned_180"}[image]
    if with_labels:
        with pytest.raises(InputError, match=f"orientation of the sample sheet with {image},"):
            inspect(folder, **options, orientation=other)
        return
    # Without labels the user knows better.
    for way in (other, "as_is"):
        assert (
            "transcripts in cells on a stain"
            in inspect(folder, **options, orientation=way).warnings[-1]
        )


def test_an_orientation_that_could_not_be_tested_is_told(tmp_path):
    folder = make_turned(tmp_path, with_labels=False)
    assert inspect(folder, **CHOICES).warnings == ["2 fields of view are laid out on one image."]
    for path in folder.glob("Morphology2D/*"):
        tifffile.imwrite(
            path, np.full((80, 120), 100, np.uint16), photometric="minisblack", metadata={}
        )
    found = inspect(folder, **CHOICES)
    assert "much the same in all orientations" in found.warnings[-1]
    table = pd.read_csv(folder / "S_tx_file.csv")
    table.assign(cell_ID=0).to_csv(folder / "S_tx_file.csv", index=False)
    assert "few transcripts are in cells" in inspect(folder, **CHOICES).warnings[-1]


def test_orientation_is_for_images_that_may_be_turned(tmp_path):
    folder = make_turned(tmp_path)
    with pytest.raises(InputError, match=r"orientation: found 'left', expected one of as_is"):
        inspect(folder, **CHOICES, orientation="left")
    from test_spatial import make_merscope

    region = make_merscope(tmp_path / "region")
    with pytest.raises(InputError, match="leave this column of the sample sheet empty"):
        inspect(region, orientation="turned_180")
    assert inspect(region).format == "merscope"


@pytest.mark.data
@pytest.mark.parametrize("fov", ["2", "3"])
def test_stains_of_real_fields_tell_their_orientation(shared_data, tmp_path, fov):
    source = shared_data / "spatial" / "cosmx_lung12_mini"
    for file in source.iterdir():
        if "label" not in file.name:
            (tmp_path / file.name).symlink_to(file)
    options = {"fov": fov, "pixel_size_um": 0.18, "channels": ["membrane", "PanCK", "DAPI"]}
    assert len(inspect(tmp_path, **options).warnings) <= 2
    turned = inspect(tmp_path, **options, orientation="turned_180")
    assert "turned (turned_180) it would be" in turned.warnings[-1]
