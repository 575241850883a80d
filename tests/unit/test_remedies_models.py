"""What refusals of models, training, first steps and foreign files say is done here, and works."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import zarr
from good_data import CELL
from refusals import follow
from test_backends import cellpose3, make_stardist  # noqa: F401 a fixture
from test_bioio_files import Image, Sizes
from test_finetune import field as labelled_field
from test_finetune import put
from test_first_steps import movie, project, sheet, tissue
from test_remedies_tables import ROW, labelled
from test_segment_split import field
from test_weights_fetch import WEIGHTS, service  # noqa: F401 a fixture

import cellsam_core as cc
from cellsam_core.benchmark.images import manifest_entries
from cellsam_core.benchmark.options import BenchmarkOptions
from cellsam_core.benchmark.stage import benchmark
from cellsam_core.cli import _sentence, main
from cellsam_core.cli import check as check_command
from cellsam_core.config.sheet import load_config, read_samples
from cellsam_core.files import bioio_files, ngff, omezarr
from cellsam_core.files.image_stack import ZChoice
from cellsam_core.files.stack import list_series, read_stack
from cellsam_core.first_steps.check import _check_files, _stains
from cellsam_core.first_steps.preview import _open as open_for_preview
from cellsam_core.models import refuse_absent_backend, refuse_untrainable
from cellsam_core.preprocessing.frames import Frames
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.segmentation import fetch as deepcell
from cellsam_core.segmentation import image_files
from cellsam_core.segmentation.backends import models as backends
from cellsam_core.segmentation.backends.segmenter import BackendSegmenter
from cellsam_core.segmentation.backends.stardist import StarDistNetwork
from cellsam_core.segmentation.batch_files import BatchWriter, iter_frames, read_settings
from cellsam_core.segmentation.given_boxes import refuse_dropping
from cellsam_core.segmentation.image import open_frames, stains_of
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions
from cellsam_core.segmentation.weights import FOLDER, load_trainable, resolve
from cellsam_core.training.crops import Crops
from cellsam_core.training.labelled import load_folder
from cellsam_core.training.loop import _read_checkpoint
from cellsam_core.training.options import FinetuneOptions
from cellsam_core.training.split import choose_split, fill_sources
from cellsam_core.training.stage import finetune
from cellsam_core.viewer.prompts import load_segmenter

PIXELS = np.random.default_rng(0).integers(90, 110, (40, 56)).astype(np.uint16)

# Weights and their options


def test_weights_are_named_as_told(tmp_path, monkeypatch):
    follow(lambda: resolve("huge"), "correct the option `weights`", then=lambda: resolve("tiny"))
    damaged = tmp_path / "w.safetensors"
    damaged.write_bytes((FOLDER / "tiny.safetensors").read_bytes()[:-5])
    words = "choose another file or train again"
    follow(lambda: load_trainable(str(damaged)), words, then=lambda: load_trainable("tiny"))
    words = "set `weights` to tiny"
    follow(lambda: refuse_untrainable("vit_b"), words, then=lambda: refuse_untrainable("tiny"))
    monkeypatch.setattr("cellsam_core.models.find_spec", lambda name: name)
    follow(
        lambda: refuse_absent_backend("cellpose:"),
        "name the model",
        then=lambda: refuse_absent_backend("cellpose:cyto3"),
    )
    words = "start the page with `--weights tiny`"
    follow(lambda: load_segmenter("cellpose:x"), words, then=lambda: load_segmenter("tiny"))


def test_options_of_a_segmentation_are_left_out_as_told():
    options = SegmentOptions(dark_cells="drop")
    follow(
        lambda: refuse_dropping(options),
        "leave one out",
        then=lambda: refuse_dropping(replace(options, dark_cells="keep")),
    )
    one = Frames(np.zeros((1, 1, 9, 9), np.uint16), "tcyx", ("cell",))
    two = Frames(np.zeros((1, 2, 9, 9), np.uint16), "tcyx", ("nuclear", "cell"))
    words = "set nuclear_channel and cell_channel, or leave the option out"
    follow(lambda: stains_of(one, "nucleus"), words, then=lambda: stains_of(two, "nucleus"))
    follow(lambda: stains_of(one, "nucleus"), words, then=lambda: stains_of(one, "cell"))


def test_frames_and_images_are_given_as_told(tmp_path):
    for name, axes, shape in (("m", "tyx", (1, 9, 9)), ("f", "tcyx", (1, 1, 9, 9))):
        channels = ["cell"] if "c" in axes else []
        store = omezarr.create(
            tmp_path / f"{name}.zarr", shape=shape, axes=axes, dtype="uint16", channels=channels
        )
        store.array[:] = 1
    follow(
        lambda: open_frames(tmp_path / "m.zarr"),
        "give the frames.zarr that `cellsam-core preprocess` wrote",
        then=lambda: open_frames(tmp_path / "f.zarr"),
    )
    stack = np.stack([PIXELS] * 2)[:, None]
    model, options = cc.load_model("tiny", device="cpu"), SegmentOptions(cell_diameter_px=20)
    follow(
        lambda: cc.segment(stack, model, options),
        "call preprocess and segment_frames for a movie",
        then=lambda: cc.segment_frames(
            cc.preprocess(stack, channels=["cell"]), model, options=options
        ),
    )


def test_image_files_are_named_as_told(tmp_path, monkeypatch):
    nothing = np.zeros(PIXELS.shape, np.uint32), pd.DataFrame({"label": []})
    monkeypatch.setattr(image_files, "load_model", lambda *_, **__: None)
    monkeypatch.setattr(image_files, "segment_single", lambda *_: nothing)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / "x.tif", PIXELS)
    one, two = tmp_path / "a/x.tif", tmp_path / "b/x.tif"

    def run(images: list[Path], output: Path) -> None:
        options = SegmentOptions(cell_diameter_px=20)
        image_files.segment_files(
            images, output, ModelOptions(device="cpu"), options, PreprocessOptions()
        )

    follow(
        lambda: run([one, two], tmp_path / "out"),
        "segment them into different folders",
        then=lambda: [run([path], tmp_path / path.parent.name / "out") for path in (one, two)],
    )
    follow(
        lambda: run([one], tmp_path / "a"),
        "give another folder with -o",
        then=lambda: run([one], tmp_path / "c"),
    )
    assert (tifffile.imread(one) == PIXELS).all()
    tifffile.imwrite(tmp_path / "movie.tif", np.stack([PIXELS] * 2), photometric="minisblack")
    with pytest.raises(cc.InputError, match="list the movie in a sample sheet"):
        run([tmp_path / "movie.tif"], tmp_path / "out")


def test_a_command_without_a_sheet_names_its_own_options_as_told(tmp_path, monkeypatch):
    nothing = np.zeros(PIXELS.shape, np.uint32), pd.DataFrame({"label": []})
    monkeypatch.setattr(image_files, "load_model", lambda *_, **__: None)
    monkeypatch.setattr(image_files, "segment_single", lambda *_: nothing)
    imgs, stack = tmp_path / "imgs", tmp_path / "c.ome.tif"
    imgs.mkdir()
    for name in ("Sample000033", "caulo_15"):
        tifffile.imwrite(imgs / f"{name}.tif", PIXELS)
    tifffile.imwrite(stack, np.stack([PIXELS] * 3), metadata={"axes": "CYX"})

    def run(*images: Path, channels: str | None = None, **roles: str) -> None:
        options = SegmentOptions(cell_diameter_px=20)
        model, contrast = ModelOptions(device="cpu"), PreprocessOptions(**roles)
        image_files.segment_files(
            [*images], tmp_path / "out", model, options, contrast, channels=channels
        )

    told = r"name its files, such as .*/imgs/\*, each of which.*cellsam-core init .*/imgs"
    follow(lambda: run(imgs), told, then=lambda: run(*imgs.iterdir()))
    with pytest.raises(cc.InputError, match=r"none of which names") as caught:
        run(stack)
    told = "give the option --nuclear-channel or --cell-channel, or name a channel"
    assert caught.value.remedy.startswith(told)
    assert str(caught.value).endswith(f"; {caught.value.remedy}.")
    run(stack, nuclear_channel="channel_2")
    run(stack, channels="nuclear,cell,x")
    z = tmp_path / "z.ome.tif"
    tifffile.imwrite(z, np.stack([PIXELS] * 3), metadata={"axes": "ZYX"})
    with pytest.raises(cc.InputError, match=r"list it in a sample sheet with `cellsam-core init"):
        run(z)


def test_batches_are_made_again_as_told(tmp_path):
    paths = [tmp_path / f"{k}-of-2.parquet" for k in (1, 2)]

    def write(second: dict[str, Any], frame: int = 1) -> None:
        for k, settings in enumerate(({"weights": "tiny"}, second)):
            with BatchWriter(paths[k], settings) as writer:
                writer.add(frame * k, [CELL])

    right = lambda: write({"weights": "tiny"})  # noqa: E731
    paths[0].write_text("text")
    follow(lambda: read_settings(paths[:1]), "delete it and make it again", right)
    write({"weights": "other"})
    follow(lambda: read_settings(paths), "delete the batches and run again", right)
    write({"weights": "tiny"}, frame=9)
    follow(lambda: list(iter_frames(paths, 2)), "give the batches of this sample", right)


# Models of other packages, and the service of the authors


def test_stains_that_a_model_does_not_take_are_told(cellpose3):  # noqa: F811
    def draw(stains: list[np.ndarray], diameter_px: float) -> None:
        raise ValueError("one channel, please")

    segmenter = BackendSegmenter("cellpose:x", SimpleNamespace(draw=draw))  # type: ignore[arg-type]
    with pytest.raises(cc.InputError, match=r"fails on 1 stain.*one channel.*name another model"):
        segmenter.segment(np.ones((2, 9, 9), np.float32) * [[[0]], [[1]]], 16.0)
    assert backends


def test_a_gpu_that_tensorflow_does_not_see_is_not_asked_for_as_told(monkeypatch, tmp_path):
    make_stardist(monkeypatch, tmp_path / "mine")
    sys.modules["tensorflow"].config.list_physical_devices = lambda kind: []
    path = tmp_path / "mine/weights_best.h5"
    follow(
        lambda: StarDistNetwork(path, "cuda"),
        "set it to `cpu`",
        then=lambda: StarDistNetwork(path, "cpu"),
    )


def test_answers_that_are_none_are_told(service, monkeypatch, capsys):  # noqa: F811
    def fetch() -> str:
        assert main(["weights", "fetch"]) == 1
        return capsys.readouterr().err

    answer = service._answer
    monkeypatch.setattr(service, "_answer", lambda self, status, data: answer(self, status, b"[]"))
    assert "found an answer without a link" in fetch()
    monkeypatch.setattr(service, "_answer", answer)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as content:
        member = tarfile.TarInfo("m/renamed.pt")
        member.size = len(WEIGHTS)
        content.addfile(member, io.BytesIO(WEIGHTS))
    service.content = buffer.getvalue()
    monkeypatch.setattr(deepcell, "ASSET_MD5", hashlib.md5(service.content).hexdigest())
    told = fetch()
    assert "found no cellsam_general.pt" in told
    assert "get the weights from the authors by hand" in told


# Training


def test_images_to_learn_from_are_given_as_told(tmp_path):
    image = labelled_field(2)
    crops = lambda images: Crops(images, simulated_share=0.5, n=2, seed=0)  # noqa: E731
    words = "give at least one image with its labels"
    follow(lambda: crops([]), words, then=lambda: crops([image]))
    labelled(tmp_path / "l", "a")
    path = tmp_path / "l/a_label.tif"
    labels = tifffile.imread(path)
    tifffile.imwrite(path, np.stack([labels] * 2), photometric="minisblack")
    follow(
        lambda: load_folder(tmp_path / "l"),
        "save each frame as a file of its own",
        lambda: tifffile.imwrite(path, labels),
    )


def test_images_to_judge_by_are_others_as_told(tmp_path, monkeypatch):
    for name, cells in (("train", 3), ("judge", 4)):
        image = labelled_field(cells)
        put(tmp_path / name, "a", image.channels.max(0), image.labels)
    monkeypatch.setattr("cellsam_core.training.finetune.finetune", _untuned)
    out = tmp_path / "w.safetensors"

    def tune(output: Path, judge: str = "judge") -> None:
        options = FinetuneOptions(steps=1)
        finetune(tmp_path / "train", output, options, validation=tmp_path / judge)

    right = lambda: tune(out)  # noqa: E731
    follow(lambda: tune(tmp_path / "w.pt"), "name a file with this ending", then=right)
    follow(lambda: tune(out, "train"), "remove it from one of the folders", then=right)


def _untuned(model: Any, *_: Any, **__: Any) -> Any:
    """Stand in for the training."""
    from cellsam_core.training.finetune import Score, Tuned

    return Tuned(model.state_dict(), 0, Score(0.5, 0.5), Score(0.5, 0.5))


def test_checkpoints_of_other_runs_are_left_alone_as_told(tmp_path):
    path, device = tmp_path / "checkpoint.pt", torch.device("cpu")
    origin = {"plan": {"n_steps": 4}, "start": "s", "images": "i"}
    look = lambda now=origin: _read_checkpoint(path, device, now)  # noqa: E731
    write = lambda: torch.save({"origin": origin}, path)  # noqa: E731
    path.write_bytes(b"PK")
    follow(look, "delete it to start anew", write)
    words = "repeat the options and data of the run that began there"
    for other in ({"plan": {"n_steps": 9}}, {"start": "t"}, {"images": "j"}):
        follow(lambda other=other: look(origin | other), words, then=look)


def test_sources_and_splits_are_corrected_as_told():
    images = [field(0), field(0), np.rot90(field(0))]
    rows = pd.DataFrame({"set": ["A"] * 3, "image": list("abc"), "source": ["x", "y", None]})
    words = "give them one source, or fill in the source of this image"
    for sources in (["x", "x", None], ["x", "y", "x"]):
        follow(
            lambda: fill_sources(rows, images),
            words,
            then=lambda sources=sources: fill_sources(rows.assign(source=sources), images),
        )
    torn = pd.DataFrame({"modality": ["a"] * 2, "source": ["s"] * 2, "split": ["train", "test"]})
    choose = lambda rows: choose_split(rows, validation_share=0.2, seed=0)  # noqa: E731
    words = "correct the column `split` or `source`"
    for column, values in (("split", ["train"] * 2), ("source", ["s", "t"])):
        right = torn.assign(**{column: values})
        follow(lambda: choose(torn), words, then=lambda right=right: choose(right))


# The benchmark


def test_sets_and_options_of_a_benchmark_are_corrected_as_told(tmp_path):
    labelled(tmp_path, "a")
    path = tmp_path / "manifest.tsv"

    def write(name: str) -> None:
        row = ROW | {"set": name, "split": "test"}
        pd.DataFrame([row]).to_csv(path, sep="\t", index=False)

    write("all")
    follow(
        lambda: manifest_entries(path, tmp_path, ["test"]),
        "rename the set in the manifest",
        lambda: write("mine"),
    )
    options = BenchmarkOptions(
        methods="otsu_watershed", split="test", cell_diameter_px="truth", speed=False, clahe=True
    )
    follow(
        lambda: benchmark(options=options, manifest=path, data=tmp_path),
        "leave it out",
        then=lambda: benchmark(options=replace(options, clahe=False), manifest=path, data=tmp_path),
    )


# First steps


def test_a_check_is_repeated_as_told(tmp_path):
    movie(tmp_path / "m", ("H2B", "CFP"), n_frames=4)
    root = sheet(tmp_path / "project", "sample,assay,path,ratio", "a,movie,../../m,CFP/RFP")
    table = root / "config/samples.tsv"
    run = lambda: check_command.run(  # noqa: E731
        argparse.Namespace(configfile=[], directory=root)
    )
    follow(
        run,
        "correct what the lines above name, and check again",
        lambda: table.write_text(table.read_text().replace("CFP/RFP", "CFP/H2B")),
    )


def test_weights_and_stains_of_a_sample_are_corrected_as_told(tmp_path):
    movie(tmp_path / "m", ("H2B", "CFP"))
    (tmp_path / "samples.csv").write_text("sample,assay,path\na,movie,m\n")

    def files(weights: str) -> None:
        config = load_config({"samples": "samples.csv"}, [tmp_path])
        _check_files(config, "a", {"segment": {"weights": weights}})

    words = "correct the path, which starts at the working directory"
    shipped = str(FOLDER / "tiny.safetensors")
    follow(lambda: files("no.safetensors"), words, then=lambda: files(shipped))
    manifest = cc.inspect(tmp_path / "m", assay="movie")

    def stains(cell: str | None, targets: str = "nucleus,cell") -> str:
        roles = {"nuclear_channel": "H2B", "cell_channel": cell}
        return _stains(
            manifest, {"preprocess": roles, "segment": {"targets": targets, "weights": "tiny"}}
        )

    words = "set nuclear_channel and cell_channel, or leave the option out"
    follow(lambda: stains(None), words, then=lambda: stains("CFP"))
    follow(lambda: stains(None), words, then=lambda: stains(None, "cell"))


def test_a_preview_is_asked_for_by_name_as_told(tmp_path):
    movie(tmp_path / "m", ("H2B", "CFP"))
    look = lambda name, root=tmp_path: open_for_preview(str(name), (), root)  # noqa: E731
    words = "correct the name or the path"
    follow(lambda: look("n"), words, then=lambda: look(tmp_path / "m"))
    unscaled = tissue(tmp_path / "t", header="x_um,y_um,gene")
    root, _ = project(tmp_path, unscaled)
    table = root / "config/samples.tsv"
    *comments, head, row = table.read_text().splitlines()
    names, cells = head.split("\t"), row.split("\t")
    cells[names.index("pixel_size_um")] = "0.5"
    follow(
        lambda: look(unscaled),
        "type: cellsam-core init .* fill in the sheet, and preview the sample by its name",
        lambda: table.write_text("\n".join((*comments, head, "\t".join(cells), ""))),
        lambda: look("t", root),
    )


def test_nuclei_beside_masks_are_left_out_as_told(tmp_path):
    path = tmp_path / "samples.csv"
    wrong = "sample,assay,path,masks\na,movie,m,masks.tif\n"
    words = "fill .* `nuclei`, write cell into the column `targets`.*, or leave its masks out"
    for right in (
        "sample,assay,path,masks,nuclei\na,movie,m,masks.tif,nuclei.tif\n",
        "sample,assay,path,masks,targets\na,movie,m,masks.tif,cell\n",
        "sample,assay,path\na,movie,m\n",
    ):
        path.write_text(wrong)
        config = {"samples": "samples.csv", "segment": {"targets": "nucleus,cell"}}
        follow(
            lambda config=config: load_config(config, [tmp_path]),
            words,
            lambda right=right: path.write_text(right),
        )


def test_nuclei_of_a_movie_are_paired_or_left_out_as_told(tmp_path):
    path = tmp_path / "samples.csv"
    words = "write nucleus,cell into the column `targets` of this sample, or leave its nuclei out"
    for right in (
        'sample,assay,path,nuclei,targets\na,movie,m,nuclei.tif,"nucleus,cell"\n',
        "sample,assay,path\na,movie,m\n",
    ):
        path.write_text("sample,assay,path,nuclei\na,movie,m,nuclei.tif\n")
        follow(
            lambda: load_config({"samples": "samples.csv"}, [tmp_path]),
            words,
            lambda right=right: path.write_text(right),
        )


def test_a_sheet_of_excel_is_saved_as_text_as_told(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    table = pd.DataFrame([{"sample": "a", "assay": "movie", "path": "m"}])
    table.to_excel(tmp_path / "samples.xlsx", index=False)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    table.to_csv(tmp_path / "samples.csv", index=False)
    follow(
        lambda: read_samples(tmp_path / "samples.xlsx"),
        "save the sheet as csv, or type: pip install openpyxl",
        then=lambda: read_samples(tmp_path / "samples.csv"),
    )


# Files of microscopes


def test_pixel_sizes_that_are_no_length_are_given_as_told(tmp_path):
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" '
        'SizeX="56" SizeY="40" SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="INF" '
        'PhysicalSizeY="INF"><Channel ID="Channel:0:0" Name="GFP"/><TiffData/></Pixels></Image>'
        "</OME>"
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, metadata=None, description=xml)
    look = lambda **more: cc.inspect(  # noqa: E731
        tmp_path, assay="movie", options=cc.InspectOptions(**more)
    )
    words = "write the true one into the column `pixel_size_um`"
    found = follow(look, words, then=lambda: look(pixel_size_um=0.5))
    assert found.pixel_size_um == 0.5


def test_files_of_a_microscope_are_copied_or_resampled_as_told(tmp_path, monkeypatch):
    """With an object of the interface of bioio in the place of a reader."""
    spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: name.startswith("bioio") or spec(name)
    )
    path, held = tmp_path / "movie.nd2", {"image": Image()}
    path.write_bytes(b"0")

    def read(_path: str, _modified: int) -> Image:
        if path.read_bytes() == b"":
            raise ValueError("no chunk map")
        return held["image"]

    monkeypatch.setattr(bioio_files, "_image", read)
    look = lambda name="Position 1": bioio_files.read_header(path, name, ZChoice("one"))  # noqa: E731
    path.write_bytes(b"")
    words = "copy the file again from the microscope"
    follow(look, words, lambda: path.write_bytes(b"0"))
    follow(lambda: look(""), "fill the column `position`", then=lambda: look("Position 2"))
    held["image"].physical_pixel_sizes = Sizes(X=0.5)
    square = lambda: held.update(image=Image())  # noqa: E731
    follow(look, "resample the images to square pixels", square)
    counted = ElementTree.fromstring(
        "<D><Metadata><Information><Image><SizeS>3</SizeS></Image></Information></Metadata></D>"
    )
    held["image"].metadata = counted
    held["image"].scenes = ("Position 1",)
    export = lambda: held.update(image=Image())  # noqa: E731
    scenes = lambda: bioio_files.list_scenes(path)  # noqa: E731
    assert len(follow(scenes, "export each scene as a file of its own", export)) == 2


def test_one_of_several_images_is_named_as_told(tmp_path):
    """`inspect` asks for the position before; these functions do so as well."""
    for name in ("plate.zarr/0", "plate.zarr/1"):
        omezarr.create(tmp_path / name, shape=(9, 9), axes="yx", dtype="uint16")
    zarr.open_group(str(tmp_path / "plate.zarr"), mode="a").attrs["ome"] = {
        "version": "0.5",
        "bioformats2raw.layout": 3,
    }
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        for name in ("left", "right"):
            file.write(PIXELS, metadata={"axes": "YX", "Name": name}, photometric="minisblack")
    words = "fill the column `position` of the sample sheet with one of these names"
    for path, look, series in (
        (tmp_path / "plate.zarr", ngff.open_image, ngff.list_images),
        (tmp_path / "a.ome.tif", lambda p, s="": read_stack(p, series=s), list_series),
    ):
        name = series(path)[1]
        follow(
            lambda path=path, look=look: look(path),
            words,
            then=lambda path=path, look=look, name=name: look(path, name),
        )
    pixels = (
        '<Pixels ID="P:{0}" DimensionOrder="XYCZT" Type="uint16" SizeX="56" SizeY="40" SizeC="1" '
        'SizeZ="1" SizeT="1"><Channel ID="C:{0}"/><TiffData FirstT="0" FirstC="0" FirstZ="0" '
        'IFD="0" PlaneCount="1"><UUID FileName="x{0}.tif">urn:uuid:{0}</UUID></TiffData></Pixels>'
    )
    images = "".join(f'<Image ID="I:{i}" Name="{i}">{pixels.format(i)}</Image>' for i in (0, 1))
    companion = tmp_path / "x.companion.ome"
    companion.write_text(
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f"{images}</OME>"
    )
    for i in (0, 1):
        tifffile.imwrite(tmp_path / f"x{i}.tif", PIXELS)
    name = list_series(companion)[1]
    follow(lambda: read_stack(companion), words, then=lambda: read_stack(companion, series=name))


def test_a_file_that_the_system_does_not_give_is_told():
    told = _sentence(OSError(5, "Input/output error", "t0.tif"))
    assert told.startswith("t0.tif: found Input/output error, expected a file or folder")
