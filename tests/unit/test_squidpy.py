"""The cell table in squidpy and scanpy: pictures with defaults, and intensities."""

from __future__ import annotations

import anndata
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

import cellsam_core as cc
from cellsam_core.assignment.picture import frames_of_pictures, spatial_entry
from cellsam_core.assignment.stains import measure_stains
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.labels.tiles import LabelArray, LabelTiles
from cellsam_core.preprocessing.images import ArrayFacts, images_of_array

mpl.use("agg")
SHAPE = (60, 90)
SIZE_UM = 0.5


def labels_of(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    labels = np.zeros(shape, np.uint32)
    labels[5:20, 4:30], labels[30:50, 40:70], labels[8:18, 60:85] = 3, 4, 70_000
    return labels


def stains_of(labels: np.ndarray, n: int = 2) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 500, (n, *labels.shape)).astype(np.uint16) + (labels > 0) * np.uint16(
        900
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of three cells, read from its file."""
    folder = tmp_path_factory.mktemp("tissue")
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"x_um": rng.uniform(0, 44, 600), "y_um": rng.uniform(0, 29, 600)})
    rows["gene"] = rng.choice(["Gad1", "Actb", "Blank-1"], 600)
    labels = labels_of()
    stains = stains_of(labels)
    options = {"pixel_size_um": SIZE_UM, "images": stains, "channels": ["DAPI", "Poly/T"]}
    cc.assign(rows, labels, sample="cortex", output=folder, **options)
    return anndata.read_h5ad(folder / "cells.h5ad")


def test_squidpy_draws_with_defaults(table):
    squidpy = pytest.importorskip("squidpy", reason="squidpy is not installed")
    squidpy.pl.spatial_scatter(table.copy(), color="total_counts")
    axis = squidpy.pl.spatial_scatter(table.copy(), color="Gad1", return_ax=True)
    # The picture is drawn, and the cells lie on their labels in it.
    (picture,) = axis.images
    entry = table.uns["spatial"]["cortex"]
    scale = entry["scalefactors"]["tissue_hires_scalef"]
    x, y = np.round(table.obsm["spatial"] * scale).astype(int).T
    assert picture.get_array().shape[:2] == entry["images"]["segmentation"].shape
    assert entry["images"]["segmentation"][y, x].tolist() == table.obs["cell_id"].tolist()
    squidpy.pl.spatial_segment(
        table.copy(), seg_cell_id="cell_id", library_id="cortex", library_key="sample", color="Gad1"
    )


def test_cells_with_negative_coordinates_are_not_hidden(tmp_path):
    """The picture is in the coordinates of the image, where every cell is drawn."""
    squidpy = pytest.importorskip("squidpy", reason="squidpy is not installed")
    (tmp_path / "images").mkdir()
    labels = labels_of()
    for name, stain in zip(("DAPI", "PolyT"), stains_of(labels), strict=True):
        tifffile.imwrite(tmp_path / "images" / f"mosaic_{name}_z0.tif", stain)
    affine = [[2, 0, 60], [0, -2, -40], [0, 0, 1]]  # the slide is mirrored, and left of 0
    np.savetxt(tmp_path / "images" / "micron_to_mosaic_pixel_transform.csv", affine)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 89, 600), rng.uniform(0, 59, 600)
    rows = pd.DataFrame({"global_x": (x - 60) / 2, "global_y": (y + 40) / -2, "global_z": 0.0})
    rows["gene"] = rng.choice(["Gad1", "Actb"], 600)
    rows.to_csv(tmp_path / "detected_transcripts.csv")
    sample = cc.inspect(tmp_path, assay="merfish", sample="left")
    cc.assign(sample, labels, sample="left", output=tmp_path / "out")
    table = anndata.read_h5ad(tmp_path / "out" / "cells.h5ad")
    assert table.obsm["spatial"].min() < 0 <= table.obsm["spatial_image"].min()
    with pytest.raises(KeyError, match="spatial"):  # it hides nothing silently
        squidpy.pl.spatial_scatter(table.copy(), color="Gad1")
    shown = table.copy()  # as docs/howto.md says
    shown.obsm["spatial"], shown.uns["spatial"] = (
        table.obsm["spatial_image"],
        table.uns["spatial_image"],
    )
    axis = squidpy.pl.spatial_scatter(shown, color="Gad1", return_ax=True)
    entry = table.uns["spatial_image"]["left"]
    scale = entry["scalefactors"]["tissue_hires_scalef"]
    xy = table.obsm["spatial_image"] * scale
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    assert ((xy > [left, top]) & (xy < [right, bottom])).all()
    column, row = np.round(xy).astype(int).T
    assert entry["images"]["segmentation"][row, column].tolist() == [3, 4, 70_000]


def test_a_tissue_far_from_zero_has_a_second_picture():
    """By itself, the one of the slide is nearly empty."""
    far = np.array([[6400.0, 10.0], [6900.0, 400.0]])
    frames = frames_of_pictures(far, np.diag([2.0, 2.0, 1.0]))
    assert list(frames) == ["spatial", "spatial_image"]
    near = frames_of_pictures(far - [6390.0, 0.0], np.diag([2.0, 2.0, 1.0]))
    assert list(near) == ["spatial"]
    assert list(frames_of_pictures(far - [6500.0, 0.0], np.eye(3))) == ["spatial_image"]
    assert list(frames_of_pictures(np.empty((0, 2)), np.eye(3))) == ["spatial"]


def test_scanpy_draws_with_defaults(table):
    scanpy = pytest.importorskip("scanpy", reason="scanpy is not installed")
    (axis,) = scanpy.pl.spatial(table.copy(), color="Actb", show=False)
    assert len(axis.images) == 1


def test_intensities_equal_those_of_scikit_image(table):
    from skimage.measure import regionprops_table

    stains = stains_of(labels_of())
    expected = regionprops_table(
        labels_of(), np.moveaxis(stains, 0, -1), properties=("label", "intensity_mean", "area")
    )
    assert expected["label"].tolist() == table.obs["cell_id"].tolist()
    found = table.obsm["intensities"]
    assert found.columns.tolist() == ["DAPI", "Poly_T"]
    for c, name in enumerate(found):
        mean = expected[f"intensity_mean-{c}"]
        np.testing.assert_allclose(found[name], mean, rtol=1e-6)
        total = table.obsm["intensities_integrated"][name]
        np.testing.assert_allclose(total, mean * expected["area"], rtol=1e-12)


def test_intensities_do_not_depend_on_the_tiles():
    labels = np.kron(labels_of(), np.ones((30, 30), np.uint32))  # more than one tile
    stains = stains_of(labels)
    nuclei = np.zeros(labels.shape, np.uint8)
    nuclei[::2] = 1
    cell_id = np.array([3, 4, 70_000], np.uint32)
    raw = images_of_array(stains, ArrayFacts(["a", "b"]))
    whole = measure_stains(raw, LabelArray(labels), cell_id, LabelArray(nuclei))
    tiles = LabelTiles(lambda rows, columns: labels[rows, columns], labels.shape, tile_px=256)
    tiled = measure_stains(raw, tiles, cell_id, LabelArray(nuclei))
    np.testing.assert_array_equal(whole.sums, tiled.sums)
    for row, cell in enumerate(cell_id):
        inside = labels == cell
        assert whole.n_px[row] == inside.sum()
        nucleus = inside & (nuclei > 0)
        np.testing.assert_allclose(whole.means_nucleus[row], stains[:, nucleus].mean(axis=1))


def test_the_picture_lies_on_the_slide_where_the_image_is_turned():
    """The transform of a manifest mirrors y and shifts both axes."""
    labels = labels_of()
    raw = images_of_array(stains_of(labels), ArrayFacts(["a", "b"]))
    measured = measure_stains(raw, LabelArray(labels), np.unique(labels)[1:])
    um_to_px = np.array([[2.0, 0.0, -20.0], [0.0, -2.0, 100.0], [0.0, 0.0, 1.0]])
    xy_px = np.array(
        [
            [np.nonzero(labels == k)[1].mean(), np.nonzero(labels == k)[0].mean()]
            for k in (3, 4, 70_000)
        ]
    )
    px_to_um = np.linalg.inv(um_to_px)
    xy_um = xy_px @ px_to_um[:2, :2].T + px_to_um[:2, 2]
    entry = spatial_entry(measured, um_to_px, xy_um, 10.0)
    scale = entry["scalefactors"]["tissue_hires_scalef"]
    x, y = np.round(xy_um * scale).astype(int).T
    assert entry["images"]["segmentation"][y, x].tolist() == [3, 4, 70_000]
    assert entry["images"]["hires"][y, x].max() > 60


def test_images_of_another_size_are_refused():
    rows = pd.DataFrame({"x_px": [5.0], "y_px": [8.0], "gene": ["Gad1"]})
    with pytest.raises(InputError, match="images: found an array of shape"):
        cc.assign(rows, labels_of(), pixel_size_um=1.0, images=np.zeros((10, 10)))


def test_masks_tell_how_they_were_made(tmp_path):
    labels = labels_of()
    path = tmp_path / "masks.zarr"
    store = omezarr.create(path, shape=SHAPE, axes="yx", dtype="uint32", pixel_size_um=1.0)
    store.array[:] = labels
    zarr.open_group(path).attrs["cellsam"] = {"weights": "tiny", "cell_diameter_px": 16.0}
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"x_um": rng.uniform(0, 89, 300), "y_um": rng.uniform(0, 59, 300)})
    found = cc.assign(rows.assign(gene="Gad1"), path, cc.AssignOptions(expand_um=1))
    assert found.uns["provenance"]["segmentation"]["weights"] == "tiny"
    assert found.uns["provenance"]["expand_um"] == 1
    assert found.uns["spatial"]["sample"]["metadata"]["channels"] == "labels"
