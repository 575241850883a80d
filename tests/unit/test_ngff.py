"""OME-Zarr as other programs write it: versions, names of axes, positions, scales of nobody."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
import zarr
from refusals import follow

from cellsam_core.errors import InputError
from cellsam_core.files import ngff_places
from cellsam_core.first_steps.proposal import propose_sheet
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.positions import positions_of

SHAPE = (30, 40)
TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
UNITS = {"t": "second", "y": "micrometer", "x": "micrometer"}


def pixels(*sizes, start=1):
    """Planes, each of one value of its own."""
    n = int(np.prod(sizes))
    planes = np.arange(start, start + n, dtype=np.uint16).reshape(*sizes, 1, 1)
    return np.broadcast_to(planes, (*sizes, *SHAPE))


def axes_of(names, units=UNITS):
    return [
        {"name": name, "type": TYPES[name.lower()]}
        | ({"unit": units[name.lower()]} if name.lower() in units else {})
        for name in names
    ]


def scaled(path, *scale):
    return {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [*scale]}]}


def write(path, images, arrays, version="0.5", where="", **others):
    """Write a group with some entries of ``multiscales``, and arrays by their paths."""
    group = zarr.open_group(path, mode="a", zarr_format=3 if version >= "0.5" else 2)
    group = group.require_group(where) if where else group
    for name, array in arrays.items():
        chunks = (1,) * (array.ndim - 2) + SHAPE
        group.create_array(name, shape=array.shape, dtype=array.dtype, chunks=chunks)[:] = array
    ome = {"multiscales": images} | others
    group.attrs.update({"ome": {"version": version} | ome} if version >= "0.5" else ome)
    return path


def inspect(path, **options):
    return inspect_movie(path, sample="s", assay="movie", **options)


def values(manifest):
    return [
        [None if p is None else int(read_frame(manifest, t, [c])[0, 0, 0]) for p, c in row]
        for t, row in enumerate(
            zip(frame, manifest.channels, strict=True) for frame in manifest.planes
        )
    ]


def image_03():
    return {"version": "0.3", "axes": ["t", "c", "y", "x"], "datasets": [{"path": "0"}]}


def image_06():
    """Write it as ngff-zarr does: the scale is part of a sequence, and of no image before 0.6."""
    steps = [
        {"type": "scale", "scale": [300, 1, 0.65, 0.65]},
        {"type": "translation", "translation": [0, 0, 9, 9]},
    ]
    transform = {"type": "sequence", "input": {"path": "0"}, "output": {"name": "own"}}
    return {
        "coordinateSystems": [
            {"name": "world", "axes": axes_of("zyx")},
            {"name": "own", "axes": axes_of("tcyx")},
        ],
        "datasets": [
            {"path": "0", "coordinateTransformations": [transform | {"transformations": steps}]}
        ],
        "coordinateTransformations": [
            {"type": "affine", "input": {"name": "own"}, "output": {"name": "world"}}
        ],
    }


@pytest.mark.parametrize(
    ("version", "image", "pixel_size_um", "interval_s"),
    [
        ("0.3", image_03(), None, None),
        ("0.6", image_06(), 0.65, 300),
        ("0.4", {"axes": axes_of("TCYX"), "datasets": [scaled("0", 9, 1, 0.2, 0.2)]}, 0.2, 9),
        ("0.4", {"axes": axes_of("tcyx"), "datasets": [{"path": "0"}]}, None, None),
        (
            "0.5",
            {
                "axes": [
                    {"name": "time", "type": "time", "unit": "min"},
                    {"name": "channel", "type": "channel"},
                    *axes_of("yx", {"y": "µm", "x": "µm"}),
                ],
                "datasets": [scaled("0", 5, 1, 0.5, 0.5)],
            },
            0.5,
            300,
        ),
    ],
    ids=["0.3", "0.6", "capitals", "no scale", "types and symbols"],
)
def test_versions_and_words_of_other_programs(tmp_path, version, image, pixel_size_um, interval_s):
    manifest = inspect(write(tmp_path / "a.zarr", [image], {"0": pixels(3, 2)}, version))
    assert values(manifest) == [[1, 2], [3, 4], [5, 6]]
    assert manifest.pixel_size_um == pytest.approx(pixel_size_um)
    assert manifest.frame_interval_s == pytest.approx(interval_s)


def test_images_of_the_first_versions_have_five_axes(tmp_path):
    image = {"version": "0.1", "datasets": [{"path": "0"}]}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(2, 2, 1)}, "0.1")
    assert values(inspect(path)) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "transforms", [[{"type": "scale", "scale": [1, 1, 1, 1]}], [{"type": "identity"}], []]
)
def test_a_scale_that_nobody_gave_is_no_scale(tmp_path, transforms):
    datasets = [{"path": "0", "coordinateTransformations": transforms}]
    image = {"axes": axes_of("tcyx"), "datasets": datasets}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(3, 2)})
    manifest = inspect(path)
    assert manifest.pixel_size_um is manifest.frame_interval_s is None
    told = [s for s in manifest.warnings if "where nobody gave a value" in s]
    assert len(told) == (2 if "scale" in str(transforms) else 0)
    given = inspect(path, pixel_size_um=1, frame_interval_s=1)
    assert (given.pixel_size_um, given.frame_interval_s, given.warnings) == (1, 1, [])


@pytest.mark.parametrize(
    ("omero", "channels"),
    [
        (None, ["channel_1", "channel_2"]),
        ({"channels": None}, ["channel_1", "channel_2"]),
        ({"channels": [{"label": ""}, {"label": "GFP"}]}, ["channel_1", "GFP"]),
        ({"channels": [{"label": 405}, {"name": "GFP"}]}, ["405", "GFP"]),
    ],
)
def test_channels_that_have_names_keep_them(tmp_path, omero, channels):
    image = {"axes": axes_of("cyx"), "datasets": [scaled("0", 1, 0.2, 0.2)]}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(2)}, omero=omero)
    assert inspect(path).channels == channels


def test_a_z_axis_that_is_time_is_read_as_told(tmp_path):
    """Fiji takes the pages of a movie for z planes."""
    image = {"axes": axes_of("czyx"), "datasets": [scaled("0", 1, 1, 0.2, 0.2)]}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(2, 3)})
    found = follow(
        lambda: inspect(path),
        "if the planes are time points, set the column `format` to tiff_stack",
        then=lambda: inspect(path, format="tiff_stack"),
    )
    assert values(found) == [[1, 4], [2, 5], [3, 6]]
    assert (found.pixel_size_um, found.frame_interval_s) == (0.2, None)


def test_several_images_of_one_group_are_positions(tmp_path):
    images = [
        {"name": name, "axes": axes_of("tcyx"), "datasets": [scaled(name, 9, 1, 0.2, 0.2)]}
        for name in ("p0", "p1")
    ]
    arrays = {"p0": pixels(2, 2), "p1": pixels(2, 2, start=100)}
    path = write(tmp_path / "a.zarr", images, arrays, "0.4")
    assert [p.key for p in positions_of(path)] == ["p0", "p1"]
    assert values(inspect(path, position="p1")) == [[100, 101], [102, 103]]
    with pytest.raises(InputError, match="several positions"):
        inspect(path)


def plate(path):
    wells = {"A/1": ["f0", "f1"], "B/12": ["f0"]}
    listed = [{"path": well} for well in wells]
    group = zarr.open_group(path, mode="a")
    group.attrs["ome"] = {"version": "0.5", "plate": {"wells": listed}}
    image = {"axes": axes_of("tyx"), "datasets": [scaled("0", 9, 0.2, 0.2)]}
    for well, fields in wells.items():
        group.require_group(well).attrs["ome"] = {"well": {"images": [{"path": f} for f in fields]}}
        for field in fields:
            write(path, [image], {"0": pixels(2)}, where=f"{well}/{field}")
    return path


def test_positions_are_named_as_in_the_store(tmp_path):
    assert [p.key for p in positions_of(plate(tmp_path / "a.zarr"))] == ["A01-f0", "A01-f1", "B12"]
    image = {"axes": axes_of("tyx"), "datasets": [scaled("0", 9, 0.2, 0.2)]}
    for name in ("left", "right"):
        write(tmp_path / "b.zarr", [image], {"0": pixels(2)}, where=name)
    group = zarr.open_group(tmp_path / "b.zarr", mode="a")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    group.create_group("OME").attrs["ome"] = {"series": ["left", "right"]}
    assert [p.key for p in positions_of(tmp_path / "b.zarr")] == ["left", "right"]


def test_the_wells_of_a_plate_are_read_once_for_all_positions(tmp_path):
    """The time of `check` grew with the square of the number of wells."""
    path = plate(tmp_path / "a.zarr")
    before = ngff_places._fields.cache_info().misses
    for position in positions_of(path):
        inspect(path, position=position.name)
    assert ngff_places._fields.cache_info().misses == before + 1


@pytest.mark.parametrize(("lost", "position"), [("B/12", "B12"), ("A/1/f1", "A01-f1")])
def test_a_plate_that_was_copied_in_part_lacks_only_that_part(tmp_path, lost, position):
    path = plate(tmp_path / "a.zarr")
    whole = plate(tmp_path / "whole.zarr")
    shutil.rmtree(path / lost)
    assert values(inspect(path, position="A01-f0")) == [[1], [2]]
    follow(
        lambda: inspect(path, position=position),
        "copy the folder again",
        lambda: shutil.copytree(whole, path, dirs_exist_ok=True),
    )


def test_a_store_that_is_refused_is_not_taken_apart(tmp_path):
    """Sub-folders of a store are parts of it, not experiments of their own."""
    write(tmp_path / "a.zarr", [image_03() | {"axes": ["t", "q", "y", "x"]}], {"0": pixels(2, 2)})
    (proposal,) = propose_sheet([tmp_path / "a.zarr"])
    assert proposal.sample == "a"
    assert "axes t, q, y, x; known are" in proposal.problem


XML = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image Name="a.nd2">
<Pixels DimensionOrder="XYCZT" SizeT="3" SizeC="2" SizeZ="1" PhysicalSizeX="0.2" PhysicalSizeY="0.2"
SignificantBits="12"><Channel Name="DAPI"/><Channel Name="GFP"/>{planes}</Pixels></Image></OME>"""


def test_the_ome_xml_of_bioformats2raw_tells_times_and_names(tmp_path):
    """Microscopes write the time of each plane; the metadata of OME-Zarr have no place for it."""
    image = {"axes": axes_of("tcyx", {}), "datasets": [scaled("0", 1, 1, 1, 1)]}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(3, 2)}, where="0")
    group = zarr.open_group(path, mode="a")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    group.create_group("OME").attrs["ome"] = {"series": ["0"]}
    planes = "".join(
        f'<Plane TheT="{t}" TheC="0" TheZ="0" DeltaT="{7 * t + 2}"/>' for t in range(3)
    )
    (path / "OME/METADATA.ome.xml").write_text(XML.format(planes=planes))
    manifest = inspect(path)
    assert manifest.channels == ["DAPI", "GFP"]
    assert (manifest.pixel_size_um, manifest.frame_times_s) == (0.2, [0, 7, 14])
    (path / "OME/METADATA.ome.xml").write_text(XML.format(planes="").replace('T="3"', 'T="9"'))
    assert inspect(path).pixel_size_um is None  # it tells of other images


def test_colours_of_a_section_are_told_by_the_ome_xml(tmp_path):
    image = {"axes": axes_of("cyx"), "datasets": [scaled("0", 1, 0.5, 0.5)]}
    omero = {"channels": [{"label": f"Channel {c}"} for c in range(3)]}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(3)}, where="0", omero=omero)
    group = zarr.open_group(path, mode="a")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    group.create_group("OME").attrs["ome"] = {"series": ["0"]}
    text = XML.format(planes="").replace('T="3" SizeC="2"', 'T="1" SizeC="3"')
    one = '<Channel SamplesPerPixel="3"/>'
    text = text.replace('<Channel Name="DAPI"/><Channel Name="GFP"/>', one)
    (path / "OME/METADATA.ome.xml").write_text(text)
    assert inspect(path).channels == ["R", "G", "B"]
    (path / "OME/METADATA.ome.xml").write_text(text.replace(one, 3 * "<Channel/>"))
    assert inspect(path).channels == ["Channel 0", "Channel 1", "Channel 2"]


def test_the_clock_of_ome_writers_is_read(tmp_path):
    image = {"axes": axes_of("tcyx"), "datasets": [scaled("0", 1, 1, 0.2, 0.2)]}
    path = write(tmp_path / "a.zarr", [image], {"0": pixels(3, 2)})
    planes = [
        {"delta_t": 60 * t + c + 0.5, "storage_index": [t, c]} for t in range(3) for c in range(2)
    ]
    zarr.open_group(path, mode="a").attrs["ome_writers"] = {"frame_metadata": planes}
    manifest = inspect(path)
    assert (manifest.frame_times_s, manifest.warnings) == ([0, 60, 120], [])
    zarr.open_group(path, mode="a").attrs["ome_writers"] = {"frame_metadata": planes[:4]}
    assert inspect(path).frame_times_s is None


@pytest.mark.parametrize("name", ["a.ome.zarr.zip", "a.ozx"])
def test_a_zipped_store_is_unpacked_as_told(tmp_path, name):
    movie(tmp_path / "made.zarr")
    folder = tmp_path / "in"
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "made.zarr")
    folder.mkdir()
    shutil.copy(archive, folder / name)
    unpacked = tmp_path / "unpacked"
    for path in (folder / name, folder):
        follow(
            lambda path=path: inspect(path),
            "unpack it and name the new folder",
            lambda: shutil.unpack_archive(folder / name, unpacked, "zip"),
            lambda: inspect(unpacked),
        )


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_that_names_its_axes_is_read(tmp_path, zarr_format):
    """Acquire writes a stream of one resolution so; xarray has the names in an attribute."""
    names = {"dimension_names": ["t", "c", "y", "x"]} if zarr_format == 3 else {}
    options = {"shape": (3, 2, *SHAPE), "chunks": (1, 1, *SHAPE), "dtype": "uint16"}
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, zarr_format=zarr_format, **options, **names)
    array[:2] = pixels(2, 2)
    if not names:
        array.attrs["_ARRAY_DIMENSIONS"] = ["T", "C", "Y", "X"]
    found = inspect(path)
    assert values(found) == [[1, 2], [3, 4]]
    assert found.pixel_size_um is found.frame_interval_s is None
    assert "1 of 3 frames, at the end" in str(found.warnings)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_array_without_the_metadata_of_ome_is_told(tmp_path, zarr_format):
    """Of Zarr 2 it was a folder without images, whose chunks are sub-folders."""
    options = {"shape": (2, *SHAPE), "chunks": (1, *SHAPE), "dtype": "uint16"}
    path = tmp_path / "exp/a.zarr"
    zarr.create_array(path, zarr_format=zarr_format, **options)[:] = 1
    image = {"axes": axes_of("tyx"), "datasets": [scaled("0", 9, 0.2, 0.2)]}
    found = follow(
        lambda: inspect(path),
        "without the metadata of OME, export it as OME-TIFF or OME-Zarr",
        lambda: write(tmp_path / "exported.zarr", [image], {"0": pixels(2)}),
        lambda: inspect(tmp_path / "exported.zarr"),
    )
    assert found.n_frames == 2
    with pytest.raises(InputError, match="one array, without the metadata of OME"):
        inspect(path.parent)


def tiff(path):
    path.parent.mkdir(exist_ok=True)
    tifffile.imwrite(path, np.ones(SHAPE, np.uint16), photometric="minisblack", metadata=None)
    return path


@pytest.mark.parametrize("other", ["snapshot.tif", "movie.nd2"])
def test_a_store_beside_one_other_file_is_chosen_as_told(tmp_path, other):
    """The image was read, or the file of the microscope, and nothing told of the store."""
    store = movie(tmp_path / "exp/movie.ome.zarr", n_frames=2)
    tiff(tmp_path / "exp" / other)
    found = follow(
        lambda: inspect(tmp_path / "exp"),
        "name one of the two as `path`",
        then=lambda: inspect(store),
    )
    assert found.n_frames == 2


def test_several_stores_get_a_row_each_as_told(tmp_path):
    stores = [movie(tmp_path / f"exp/{name}.zarr", n_frames=2) for name in "ab"]
    follow(
        lambda: inspect(tmp_path / "exp"),
        "give each file a row of the sample sheet",
        then=lambda: [inspect(store) for store in stores],
    )
    assert [p.sample for p in propose_sheet([tmp_path / "exp"])] == ["a", "b"]


def test_a_store_beside_a_series_is_told(tmp_path):
    for t in range(3):
        tiff(tmp_path / f"exp/t{t}.tif")
    movie(tmp_path / "exp/movie.zarr", n_frames=2)
    found = inspect(tmp_path / "exp")
    assert (found.n_frames, found.warnings) == (3, ["movie.zarr (OME-Zarr) is not read."])
    movie(tmp_path / "one/movie.zarr", n_frames=2)
    (tmp_path / "one/analysis.h5").touch()
    assert inspect(tmp_path / "one").warnings == ["analysis.h5 (HDF5) is not read."]


# Planes that were never written.


def movie(path, n_frames=6, unwritten=(), **options):
    """A movie of two channels whose planes ``(frame, channel)`` of `unwritten` have no chunk."""
    group = zarr.open_group(path, mode="w")
    shape = (n_frames, 2, *SHAPE)
    array = group.create_array(
        "0", **({"shape": shape, "chunks": (1, 1, 15, 40)} | options), dtype="u2"
    )
    for t, c in np.ndindex(n_frames, 2):
        if (t, c) not in unwritten:
            array[t, c] = 10 * t + c + 1
    image = {"axes": axes_of("tcyx"), "datasets": [scaled("0", 9, 1, 0.2, 0.2)]}
    omero = {"channels": [{"label": "DAPI"}, {"label": "GFP"}]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image], "omero": omero}
    return path


@pytest.mark.parametrize(
    "options", [{}, {"shards": (4, 2, *SHAPE)}, {"chunks": (2, 1, *SHAPE)}], ids=str
)
def test_frames_that_were_never_acquired_are_left_out(tmp_path, options):
    unwritten = {(t, c) for t in (4, 5) for c in (0, 1)} | {(3, 1)}
    manifest = inspect(movie(tmp_path / "a.zarr", unwritten=unwritten, **options))
    assert values(manifest)[:3] == [[1, 2], [11, 12], [21, 22]]
    assert len(manifest.planes) == 3
    assert "3 of 6 frames, at the end, were not acquired" in str(manifest.warnings)


def test_a_channel_of_every_nth_frame_is_empty_between(tmp_path):
    unwritten = {(t, 1) for t in (1, 2, 4, 5)}
    manifest = inspect(movie(tmp_path / "a.zarr", unwritten=unwritten))
    assert values(manifest) == [[1, 2], [11, None], [21, None], [31, 32], [41, None], [51, None]]
    assert "Channel GFP is there in 2 of 6 frames." in manifest.warnings
    assert inspect(tmp_path / "a.zarr", channels=["DAPI"]).warnings == []


def test_chunks_that_a_copy_lacks_are_named(tmp_path):
    path = movie(tmp_path / "a.zarr", unwritten={(2, 0), (2, 1)})
    again = lambda: movie(path)  # noqa: E731
    follow(lambda: inspect(path), "copy the images again, all of them$", again)
    movie(path, unwritten={(2, 1)})
    follow(
        lambda: inspect(path),
        "leave the channel out with the column `channels`",
        then=lambda: inspect(path, channels=["DAPI"]),
    )


def test_black_corners_of_a_mosaic_are_pixels(tmp_path):
    path = movie(tmp_path / "a.zarr", n_frames=2)
    (path / "0/c/1/1/0/0").unlink()
    manifest = inspect(path)
    assert manifest.n_frames == 2
    assert not manifest.warnings


def test_a_channel_may_have_one_plane_beside_a_stack(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    shape = (3, 2, 3, *SHAPE)
    array = group.create_array("0", shape=shape, chunks=(1, 1, 1, *SHAPE), dtype="uint16")
    for t, c, z in np.ndindex(3, 2, 3):
        if (c == 1 or z == 1) and (t, c, z) != (2, 1, 2):
            array[t, c, z] = 100 * t + 10 * c + z + 1
    image = {"axes": axes_of("tczyx"), "datasets": [scaled("0", 9, 1, 1, 0.2, 0.2)]}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    found = inspect(tmp_path / "a.zarr", z_policy="mean")
    assert values(found) == [[2, 12], [102, 112]]
    assert "1 of 3 frames, at the end" in str(found.warnings)


def test_a_damaged_chunk_is_told_as_one_of_an_ome_zarr(tmp_path):
    """The advice was about a TIFF or PNG."""
    path = movie(tmp_path / "a.zarr", n_frames=2)
    (path / "0/c/1/0/0/0").write_bytes(b"broken")
    follow(
        lambda: read_frame(inspect(path), 1),
        "copy the folder again",
        lambda: movie(path, n_frames=2),
        lambda: read_frame(inspect(path), 1),
    )
    (path / "0/c/1/0/0/0").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"in plane 2 of 0, expected a complete OME-Zarr image"):
        read_frame(inspect(path), 1)
