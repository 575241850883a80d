"""FRET traces of ERK under FGF pulses (Blum et al. 2019), as tables for `cellsam-core summarise`.

    python benchmarks/ekar_pulses.py DATA/reporters/ekar_pc12_fgf_pulses OUT

Writes one traces table a dose of FGF2, and draws OUT/conditions.png with the known pulses marked.
R0 is the mean over the frames before the first pulse; trajectories that the authors call bad are
flagged.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cellsam_core.cli import main


def write_tables(data: Path, output: Path) -> tuple[list[str], list[str]]:
    """Write a table a dose; return the arguments of `summarise` and the later pulses' times."""
    pulses = pd.read_csv(data / "mp3-20_FGF_pulse_y0-97.csv")["tstart"].drop_duplicates()
    rows = pd.read_csv(data / "mp3-20_FGF_ekar.csv.gz")
    bad = set(pd.read_csv(data / "mp3-20_FGF_badTraj.csv")["id"])
    cells = rows["fov"].astype(str) + "_" + rows["id"].astype(str)
    interval_min = rows["realtime"].drop_duplicates().sort_values().diff().median()
    drug_frame = int(-(-pulses.min() // interval_min))
    table = pd.DataFrame(
        {
            "track_id": pd.factorize(cells)[0] + 1,
            "frame": (rows["realtime"] / interval_min).round().astype(int),
            "time_s": 60.0 * rows["realtime"],
            "compartment": "cell",
            "valid": ~cells.isin(bad),
        }
    )
    before = rows["intensity_ekar"].where(table["frame"] < drug_frame)
    table["r_over_r0"] = rows["intensity_ekar"] / before.groupby(cells).transform("mean")
    metadata = {"cellsam_traces": json.dumps({"drug_frame": drug_frame})}
    arguments = []
    output.mkdir(parents=True, exist_ok=True)
    for dose, group in table.groupby(rows["group"]):
        path = output / f"fgf_{dose:g}.parquet"
        written = pa.Table.from_pandas(group, preserve_index=False)
        pq.write_table(written.replace_schema_metadata(metadata), path)
        arguments.append(f"FGF2 {dose:g} ng/ml={path}")
    return arguments, [f"{60 * t:g}" for t in sorted(pulses)[1:]]


if __name__ == "__main__":
    data_folder, output_folder = map(Path, sys.argv[1:3])
    samples, event_s = write_tables(data_folder, output_folder)
    sys.exit(main(["summarise", *samples, "-o", str(output_folder), "--event-s", *event_s]))
