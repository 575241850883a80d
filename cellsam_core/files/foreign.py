"""Files of microscopes and of other programs that are no TIFF: who made them, and how to go on."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, NamedTuple

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

EXTRA = "cellsam_core[bioio]"


class Maker(NamedTuple):
    """Company or program that writes a kind of file.

    Attributes
    ----------
    name
        The company or program.
    export
        How to get OME-TIFF from it.
    plugin
        Package of bioio that reads it; empty where there is none.
    """

    name: str
    export: str
    plugin: str = ""


_BFCONVERT = "with Bio-Formats: `bfconvert IN OUT.ome.tif`"
MICROSCOPES = {
    ".nd2": Maker("Nikon", "in NIS-Elements, File > Save As", "bioio_nd2"),
    ".czi": Maker("Zeiss", "in ZEN, File > Export/Import > OME-TIFF", "bioio_czi"),
    ".lif": Maker("Leica", "in LAS X, Export > OME-TIFF", "bioio_lif"),
    ".lof": Maker("Leica", "in LAS X, Export > OME-TIFF"),
    ".xlef": Maker("Leica", "in LAS X, Export > OME-TIFF"),
    ".lifext": Maker("Leica", "in LAS X, Export > OME-TIFF"),
    ".flex": Maker("Opera", _BFCONVERT),
    ".c01": Maker("Cellomics", _BFCONVERT),
    ".cxd": Maker("Hamamatsu", _BFCONVERT),
    ".zvi": Maker("AxioVision", _BFCONVERT),
    ".ets": Maker("Olympus", _BFCONVERT),
    ".mrxs": Maker("3DHISTECH", _BFCONVERT),
    ".klb": Maker("KLB", "in Fiji with its plugin KLB, Save As > Tiff"),
    ".ims": Maker("Imaris", "in Imaris, File > Export > OME-TIFF"),
    ".dv": Maker("DeltaVision", _BFCONVERT, "bioio_dv"),
    ".oib": Maker("Olympus", _BFCONVERT),
    ".oif": Maker("Olympus", _BFCONVERT),
    ".oir": Maker("Olympus", _BFCONVERT),
    ".vsi": Maker("Olympus", _BFCONVERT),
    ".sld": Maker("SlideBook", "in SlideBook, File > Export > OME-TIFF"),
    ".sldy": Maker("SlideBook", "in SlideBook, File > Export > OME-TIFF", "bioio_sldy"),
    ".mvd2": Maker("Volocity", _BFCONVERT),
    ".nd": Maker("MetaMorph", "name the folder of its .tif or .stk files as `path`"),
    ".h5": Maker("HDF5", "in the program that wrote it"),
    ".hdf5": Maker("HDF5", "in the program that wrote it"),
}
OTHERS = {
    ".avi": Maker("video", "in Fiji, File > Import > AVI, then Save As > Tiff"),
    ".mp4": Maker("video", "in Fiji, File > Import > Movie (FFMPEG), then Save As > Tiff"),
    ".mov": Maker("video", "in Fiji, File > Import > Movie (FFMPEG), then Save As > Tiff"),
    ".gif": Maker("GIF", "in Fiji, Image > Type > 16-bit, then Save As > Tiff"),
    ".bmp": Maker("BMP", "in Fiji, Save As > Tiff"),
    ".npy": Maker("NumPy", "with tifffile: `tifffile.imwrite`"),
    ".npz": Maker("NumPy", "with tifffile: `tifffile.imwrite`"),
    ".mat": Maker("MATLAB", "in MATLAB: `imwrite`"),
    ".zip": Maker(
        "Fiji's ROI list", "in Fiji, draw the ROIs as labels (LOCI > ROI Map), then Save As > Tiff"
    ),
    ".roi": Maker(
        "Fiji's ROI", "in Fiji, draw the ROIs as labels (LOCI > ROI Map), then Save As > Tiff"
    ),
}
ZIPPED_SUFFIXES = (".zarr.zip", ".ozx")
ZIPPED = Maker("OME-Zarr in a zip archive", "unpack it and name the new folder as `path`")
VENDOR_SUFFIXES = tuple(suffix for suffix, maker in MICROSCOPES.items() if maker.plugin)


def maker_of(path: Path) -> Maker | None:
    """Return who makes files of this suffix, if they are neither TIFF, PNG nor JPEG."""
    if path.name.lower().endswith(ZIPPED_SUFFIXES):
        return ZIPPED
    return (MICROSCOPES | OTHERS).get(path.suffix.lower())


def is_microscope_file(path: Path) -> bool:
    """Tell whether a file is of a microscope's own kind, with the suffix of :data:`MICROSCOPES`."""
    return path.suffix.lower() in MICROSCOPES and not path.name.startswith(".")


def is_readable(path: Path) -> bool:
    """Tell whether the package of bioio that reads a microscope's file is installed."""
    maker = maker_of(path)
    if maker is None or not maker.plugin:
        return False
    return all(importlib.util.find_spec(name) is not None for name in ("bioio", maker.plugin))


def refuse_foreign(path: Path) -> None:
    """Refuse a file that is of another program; others pass.

    Raises
    ------
    InputError
        It names the maker, the extra that reads the file, and the export.
    """
    maker = maker_of(path)
    if maker is None:
        return
    install = f"install the extra `{EXTRA}`, which reads it, or " if maker.plugin else ""
    is_export = maker.export.startswith(("in ", "with "))
    raise InputError(
        path,
        found=f"a file of {maker.name} ({path.suffix})",
        expected="TIFF, OME-TIFF, OME-Zarr or PNG",
        remedy=install + (f"export it as OME-TIFF ({maker.export})" if is_export else maker.export),
    )
