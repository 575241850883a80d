"""Files of the reporter traces."""

from __future__ import annotations

from cellsam_core.outputs import SAMPLE, Column, Output

NO_INTERVAL = "empty if the frame interval is not known"
NO_RATIO = "empty without a ratio, or if the denominator is not above its background"
NO_R0 = "empty without a valid ratio in the baseline frames"
FEW = "empty with fewer than two valid frames after the drug"
NO_RESPONSE = "empty without a response, or without a frame before the drug"
TRACK = Column("track_id", "int64", "Number of the track")


def timed(unit: str) -> tuple[Column, ...]:
    """Declare the columns of a response whose unit of time is `unit`, which ends their names."""
    also = f" or {NO_INTERVAL}" if unit == "s" else ""
    return (
        Column(
            f"peak_time_{unit}", "float", "Time of the peak since the drug", unit, f"{FEW}{also}"
        ),
        Column(
            f"half_time_{unit}",
            "float",
            "Time since the drug at which half of the peak is reached, interpolated between frames",
            unit,
            f"empty without a frame before the drug{also}",
        ),
        Column(
            f"response_time_{unit}",
            "float",
            "Time since the drug of the first of two consecutive frames that deviate from 1 by more"
            " than 3 standard deviations of the values before the drug, and by more than 0.02",
            unit,
            f"{NO_RESPONSE}{also}",
        ),
        Column(
            f"auc_{unit}",
            "float",
            "Area under r_over_r0 - 1 since the drug",
            unit,
            f"{FEW}{also}",
        ),
    )


TRACES = Output(
    "3_tracks/traces.parquet",
    "movie",
    "Intensities and ratios, one row for each track, frame and compartment. The file's metadata"
    " `cellsam_traces` has the options.",
    (
        TRACK,
        Column("lineage_id", "int64", "Number of the lineage"),
        Column("frame", "int64", "Number of the frame, from 0"),
        Column("time_s", "float64", "Time since the first frame", "s", NO_INTERVAL),
        Column(
            "compartment",
            "text",
            "cell; nucleus; ring (of cytoplasm round the nucleus); cytoplasm (the cell without its"
            " nucleus, if nuclei and cells are segmented)",
        ),
        Column(
            "<channel>_mean",
            "float64",
            "Mean intensity of the raw image, background included",
            "grey values",
            "empty without pixels",
        ),
        Column(
            "<channel>_background",
            "float64",
            "Intensity of the background round the cell",
            "grey values",
            "empty if none could be measured",
        ),
        Column(
            "<channel>_median",
            "float64",
            "Median intensity of the raw image, background included",
            "grey values",
            "empty without pixels",
        ),
        Column(
            "<channel>_background_sd",
            "float64",
            "Standard deviation of the background pixels",
            "grey values",
            "empty if none could be measured",
        ),
        Column("<channel>_n_saturated", "int64", "Number of saturated pixels", "px"),
        Column("ratio", "float64", "Ratio of the reporter above background", missing=NO_RATIO),
        Column("bleach_factor", "float64", "Factor of bleaching that the ratio was divided by"),
        Column("r0", "float64", "R0: mean valid ratio in the baseline frames", missing=NO_R0),
        Column("r_over_r0", "float64", "R/R0", missing=NO_R0),
        Column("dr_r0", "float64", "Relative change: R/R0 - 1", missing=NO_R0),
        Column("valid", "bool", "True if there is no reason against the ratio"),
        Column("invalid_reason", "text", "Reasons against the ratio, by `;`; empty if valid"),
        Column(
            "r0_track_id",
            "int64",
            "Track on which R0 was measured: the cell's own or that of an ancestor; 0 for none",
        ),
        Column("label", "int64", "Number of the cell in the masks of this frame"),
        Column("n_px", "int64", "Number of pixels measured", "px"),
        Column("touches_border", "bool", "True if the cell touches the border of the image"),
        Column(
            "background_source",
            "text",
            "Option `background` that was used",
        ),
        SAMPLE,
    ),
)
WIDE = Output(
    "3_tracks/traces_wide.csv",
    "movie",
    "R/R0 of whole cells, one row for each track and one column for each frame.",
    (
        Column("track_id", "int", "Number of the track"),
        Column(
            "<frame>",
            "float",
            "R/R0 in the frame of this number; values that `traces.parquet` flags are kept",
            missing="empty if there is none",
            when="the movie has frames",
        ),
    ),
)
SUMMARY = Output(
    "3_tracks/trace_summary.csv",
    "movie",
    "Response of each track to the drug.",
    (
        Column("track_id", "int", "Number of the track"),
        Column("n_valid", "int", "Number of frames with a valid R/R0"),
        Column("peak", "float", "R/R0 that is furthest from 1 after the drug", missing=FEW),
        *timed("s"),
        *timed("frames"),
        SAMPLE,
    ),
)
OUTPUTS = (TRACES, WIDE, SUMMARY)
