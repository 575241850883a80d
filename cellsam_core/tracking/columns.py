"""Files of the tracking."""

from __future__ import annotations

from cellsam_core.outputs import SAMPLE, Column, Output

FIRST = "empty for the first object of a track"
ELLIPSE = "of the ellipse with the same moments"
NO_LINK = "empty without a link, and for a link that a user has corrected"
TRACK = Column("track_id", "int", "Number of the track, from 1: one cell from birth to end")

OBJECTS = Output(
    "3_tracks/objects.parquet",
    "movie",
    "Tracked cells, one row for each cell of each frame.",
    (
        Column("frame", "int32", "Number of the frame, from 0"),
        Column(
            "label",
            "int64",
            "Number of the cell in the masks of this frame; 2^63 and above are stored minus 2^64",
        ),
        Column("track_id", "int64", "Number of the track"),
        Column("y", "float64", "Row of the centroid; the centre of the first pixel is 0", "px"),
        Column("x", "float64", "Column of the centroid; the centre of the first pixel is 0", "px"),
        Column("area_px", "int64", "Area", "px"),
        Column("bbox_y0", "int32", "First row of the box that holds the cell", "px"),
        Column("bbox_x0", "int32", "First column of the box that holds the cell", "px"),
        Column("bbox_y1", "int32", "Row after the last one of the box", "px"),
        Column("bbox_x1", "int32", "Column after the last one of the box", "px"),
        Column("touches_border", "bool", "True if the cell touches the border of the image"),
        Column(
            "link_kind",
            "text",
            "Kind of the link to the object before: start (none), link (by overlap), rescue (by"
            " place and shape), gap (over missing frames), division or bud (to the parent)",
        ),
        Column(
            "link_iou",
            "float64",
            "Overlap with the object before, after correction of the drift: intersection over"
            " union, 0 to 1",
            missing=FIRST,
        ),
        Column("link_cost", "float64", "Cost of the link; smaller is better", missing=FIRST),
        Column(
            "link_margin",
            "float64",
            "Cost of the next best link less the cost of this one; a small margin means doubt",
            missing="empty without a link or without another candidate",
        ),
        Column(
            "link_probability",
            "float64",
            "Probability that the link to the object before, or the birth, is correct, 0 to 1",
            missing=NO_LINK,
        ),
        Column("flags", "text", "Words joined by `;`, such as border or corrected"),
        Column("merged_labels", "text", "Labels that a user has merged into the cell, by `;`"),
        Column("perimeter_px", "float64", "Perimeter, as scikit-image measures it", "px"),
        Column("major_axis_px", "float64", f"Long axis {ELLIPSE}", "px"),
        Column("minor_axis_px", "float64", f"Short axis {ELLIPSE}", "px"),
        Column("equivalent_diameter_px", "float64", "Diameter of a circle of the same area", "px"),
        Column(
            "eccentricity",
            "float64",
            f"Eccentricity {ELLIPSE}: 0 for a circle, towards 1 for a line",
        ),
        Column(
            "orientation_rad",
            "float64",
            "Angle from the y axis to the long axis, -pi/2 to pi/2",
            "rad",
        ),
        SAMPLE,
    ),
)
TRACKS = Output(
    "3_tracks/tracks.csv",
    "movie",
    "Tracks, one row for each track.",
    (
        TRACK,
        Column("lineage_id", "int", "Number of the lineage: track_id of its first cell"),
        Column("parent_id", "int", "track_id of the parent or of the mother of a bud; 0 for none"),
        Column("sister_id", "int", "track_id of the other daughter; 0 for none"),
        Column("generation", "int", "Number of divisions since the first cell of the lineage"),
        Column(
            "birth_kind",
            "text",
            "Kind of the beginning: movie_start, division, bud, border (came in) or appeared"
            " (inside of the field, without a parent)",
        ),
        Column("first_frame", "int", "First frame"),
        Column("last_frame", "int", "Last frame"),
        Column("n_obs", "int", "Number of frames in which the cell was found"),
        Column("n_gaps", "int", "Number of gaps that were closed"),
        Column(
            "end_kind",
            "text",
            "Kind of the end: division, movie_end, border (went out) or lost (inside of the field)",
        ),
        Column(
            "mean_iou", "float", "Mean link_iou, 0 to 1", missing="empty for a track without a link"
        ),
        Column("min_margin", "float", "Smallest link_margin", missing="empty if none is known"),
        Column(
            "quality",
            "float",
            "mean_iou times the share of frames in which the cell was found; 0 without a link",
        ),
        SAMPLE,
    ),
)
DIVISIONS = Output(
    "3_tracks/divisions.csv",
    "movie",
    "Divisions and buds, one row for each event.",
    (
        Column("event_id", "int", "Number of the event, from 1"),
        Column("kind", "text", "mitosis or bud"),
        Column("frame", "int", "First frame of a daughter or bud"),
        Column("parent_id", "int", "track_id of the parent or mother; 0 for none"),
        Column("daughter_ids", "text", "track_id of the daughters, joined by `;`"),
        Column(
            "score",
            "float",
            "Probability that parent and daughters are correct, at most one frame off; 0 without"
            " a parent",
        ),
        Column(
            "area_ratio",
            "float",
            "Area of the daughters together over the area of the parent; of a bud, over the area"
            " of the mother",
            missing="empty for an event that a user has corrected",
        ),
        Column(
            "symmetry",
            "float",
            "Area of the smaller daughter over the area of the larger one, 0 to 1",
            missing="empty for a bud, and for an event that a user has corrected",
        ),
        Column(
            "overlap",
            "float",
            "Smaller of the two shares of a daughter that lie on the parent, 0 to 1",
            missing="empty for a bud, and for an event that a user has corrected",
        ),
        Column("runner_up_parent", "int", "track_id of the next best parent; 0 for none"),
        Column("status", "text", "auto, ambiguous (score below 2/3) or corrected (by the user)"),
        SAMPLE,
    ),
)
INTERVALS = Output(
    "3_tracks/intervals.csv",
    "movie",
    "Test of the frame interval: links that overlap alone would find with fewer frames.",
    (
        Column("every_nth_frame", "int", "Frames that are used: 1 is all frames, 2 every second"),
        Column("n_links", "int", "Number of links of the tracks at this interval"),
        Column("found", "float", "Share of these links that overlap alone finds, 0 to 1"),
        Column("safe", "bool", "True if the share is 0.99 or more"),
        SAMPLE,
    ),
)
DRIFT = Output(
    "3_tracks/drift.csv",
    "movie",
    "Movement of the stage, one row for each frame: that which all cells have in common. Of fewer"
    " than 5 cells it may be their own.",
    (
        Column("frame", "int", "Number of the frame, from 0"),
        Column("y_px", "float", "Movement since the first frame along y", "px"),
        Column("x_px", "float", "Movement since the first frame along x", "px"),
        Column("n_cells", "int", "Number of cells in the frame"),
        SAMPLE,
    ),
)
REVIEW = Output(
    "3_tracks/review.csv",
    "movie",
    "Links and births that a user should check, the most useful first; at most 1000.",
    (
        Column("rank", "int", "Place in the list, from 1"),
        Column("event_kind", "text", "link, rescue, gap, mitosis or bud"),
        Column("frame", "int", "Frame of the cell whose past is in doubt"),
        Column("y", "float", "Row of its centroid", "px"),
        Column("x", "float", "Column of its centroid", "px"),
        Column("label", "int", "Its number in the masks of this frame"),
        Column("track_ids", "text", "Its track; for a division parent and daughters, by `;`"),
        Column("probability", "float", "Probability that the event is correct, 0 to 1"),
        Column(
            "expected_gain",
            "float",
            "Number of correct lineages that checking this row adds, if all rows above are checked",
        ),
        Column(
            "lineages_right",
            "float",
            "Expected share of correct lineages once this row and all above are checked, 0 to 1",
        ),
        SAMPLE,
    ),
)
CORRECTIONS = Output(
    "3_tracks/corrections.csv",
    "movie",
    "Corrections of tracks, one for each row of the user's table.",
    (
        Column("id", "text", "Id of the row", missing="empty for a row written by hand"),
        Column("row", "int", "Number of the row in the table; the header is row 1"),
        Column("operation", "text", "link, unlink, merge, delete, set-parent or set-mother"),
        Column("frame", "int", "Frame of the object"),
        Column("found", "text", "yes, or no for a row that was not carried out"),
        Column("label", "int", "Number of the object in the masks now; 0 if it was not found"),
        Column("other_frame", "int", "Frame of the other object", missing="empty without one"),
        Column(
            "other_label",
            "int",
            "Number of the other object in the masks now",
            missing="empty without one",
        ),
        Column(
            "reason",
            "text",
            "Reason why the row was not carried out",
            missing="empty for all other rows",
        ),
        SAMPLE,
    ),
)
OUTPUTS = (
    OBJECTS,
    TRACKS,
    DIVISIONS,
    INTERVALS,
    DRIFT,
    REVIEW,
    CORRECTIONS,
    Output(
        "3_tracks/ctc",
        "movie",
        "Tracks in the format of the Cell Tracking Challenge: `maskNNN.tif` and `res_track.txt`.",
    ),
    Output(
        "3_tracks/tracks.geff",
        "movie",
        "Tracks as a graph (Graph Exchange File Format). A node is a cell in a frame; `seg_id` is"
        " its number in the masks, and t, y, x are in frames and pixels.",
    ),
)
