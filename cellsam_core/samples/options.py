"""Options of reading a sample, and the columns of the sample sheet."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options

Assay = Literal["movie", "merfish", "seqfish"]
Format = Literal[
    "auto",
    "tiff_series",
    "ctc",
    "channel_folders",
    "channel_files",
    "image",
    "tiff_stack",
    "ome_tiff",
    "ome_zarr",
    "microscope",
    "merscope",
    "xenium",
    "cosmx",
    "spatial_genomics",
    "resolve",
    "generic",
    "merlin",
    "rounds",
]


@options
class SampleOptions(Options):
    """Columns that every row of the sample sheet needs."""

    sample: str = option(
        text="Unique name of the sample, made of letters, digits, dot, dash and underscore. The"
        " folder of results has this name.",
        pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )
    assay: Assay = option(text="Kind of experiment.")
    path: str = option(
        text="Folder or file with the raw data. Its path contains no braces. A relative path in the"
        " sample sheet starts at the sheet.",
        pattern="^[^{}]*$",
    )


@options
class InspectOptions(Options):
    """Options of reading a folder, each also a column of the sample sheet."""

    format: Format = option(
        "auto",
        "Layout of the files. If it is `auto` or not given, it is recognised from the files.",
    )
    pixel_size_um: float | None = option(
        None, "Side of a pixel, in micrometres. It replaces the value in the files.", above=0
    )
    frame_interval_s: float | None = option(
        None,
        "Time from one frame to the next, in seconds. It replaces the value in the files.",
        above=0,
    )
    channels: str | tuple[str, ...] | None = option(
        None, "Names of the channels to use, in this order, separated by commas."
    )
    pattern: str | None = option(
        None,
        "Movies: meaning of the parts of the image names, such as `img_{time}_{channel}_{z}`, with"
        " `{position}`, and `{*}` for a part that does not matter. Names that do not fit are left"
        " out. With a slash in it, the names of folders count.",
    )
    position: str | None = option(
        None,
        "Movies: name of the only position to read, if the folder, file or plate holds several."
        " If it is not given, each position becomes a sample `<sample>-<position>`.",
    )
    fov: str | None = option(
        None,
        "Tissues: region to use if a folder of Spatial Genomics or Resolve holds several; each"
        " region is a sample of its own. For CosMx it is the number of the only field of view to"
        " use; if it is not given, all fields are used.",
    )
    z_plane: int | None = option(
        None,
        "z plane on which cells are segmented, counted from 0 in a movie. If it is not given, it is"
        " plane 3 (MERSCOPE) or the middle plane.",
        minimum=0,
    )
    z_policy: Literal["all", "max", "mean", "focus", "one"] | None = option(
        None,
        "Movies: projection of the z planes, `max` or `mean`; `focus` takes the sharpest plane of"
        " each frame and channel, `one` always the plane `z_plane`. "
        "Tissues: `all` (default) gives the transcripts of all z planes to the cells of one z"
        " plane. `max` gives them to the cells of the maximum projection. `one` uses only the"
        " transcripts of the z plane on which cells are segmented.",
    )
    min_qv: float | None = option(
        None,
        "Tissues: transcripts of a lower quality (column `qv`) are left out. If it is not given,"
        " the limit of the vendor is used (Xenium: 20); 0 keeps all.",
        minimum=0,
    )
    outside: Literal["refuse", "drop"] | None = option(
        None,
        "Tissues: `drop` leaves out the transcripts outside the image, for an image that shows a"
        " part of the tissue. `refuse` (default) stops if more than half of them are outside.",
    )
    orientation: Literal["as_is", "turned_180", "mirrored_x", "mirrored_y"] | None = option(
        None,
        "Tissues: orientation of the images relative to the coordinates of the transcripts. It is"
        " tested by labels or stains; `as_is` says that the coordinates are right though the stains"
        " contradict. Only the images of CosMx can be turned.",
    )


@options
class SheetOptions(Options):
    """Further columns of the sample sheet."""

    plate_map: str | None = option(
        None,
        "Movies: csv with the condition of each well, in the columns `well` and `condition` or laid"
        " out as the plate. A relative path in the sample sheet starts at the sheet.",
        pattern="^[^{}]*$",
    )
    condition: str | None = option(
        None,
        "Any label of your choice, such as the drug, without an equals sign. The report shows it."
        " Movies with a ratio are averaged by condition.",
        pattern="^[^=]*$",
    )
    masks: str | None = option(
        None,
        "Masks of your own, which take the place of a segmentation: label images, ROIs of ImageJ,"
        " GeoJSON or the outlines of a vendor, see docs/masks.md. A relative path in the sample"
        " sheet starts at the sheet.",
        pattern="^[^{}]*$",
    )
    nuclei_unit: Literal["um", "px"] | None = option(
        None,
        "Unit of outlines in the column `nuclei`. If it is not given, it is px for movies, and for"
        " tissues what the file says, or um.",
    )
    corrections: str | None = option(
        None,
        "Movies: table with corrections of the tracking, see docs/corrections.md. A relative path"
        " in the sample sheet starts at the sheet. Without it, corrections/<sample>.tracks.csv is"
        " taken if it is there.",
        pattern="^[^{}]*$",
    )
    cell_corrections: str | None = option(
        None,
        "Table with corrections of cells, see docs/corrections.md. A relative path in the sample"
        " sheet starts at the sheet. Without it, corrections/<sample>.cells.csv is taken if it is"
        " there.",
        pattern="^[^{}]*$",
    )
    tiles_per_batch: int | None = option(
        None,
        "Number of tiles that one segmentation job of this sample takes. It replaces the value in"
        " the config.",
        minimum=1,
    )
    fields_per_batch: int | None = option(
        None,
        "Raw rounds: number of fields of view that one decoding job of this sample takes. It"
        " replaces the value in the config.",
        minimum=1,
    )
