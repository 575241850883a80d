#!/bin/sh
# Ten samples, of which one is broken: nine results and the comparison of conditions, and the tenth named
# with its reason. Run it in the root of the clone: benchmarks/ten_samples.sh [FOLDER] [CORES]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-ten_samples}
mkdir -p "$folder/config" "$folder/empty"
python -m cellsam_core simulate movie --frames 3 --size-px 96 --cells 4 --seed 1 -o "$folder/movie"
{
  echo "sample,assay,path,cell_diameter_px,ratio,baseline_frames,condition"
  for i in 1 2 3 4 5 6 7 8 9; do
    echo "s$i,movie,../movie/images,20,AMPKAR_480/AMPKAR_405,1,condition_$((i % 2))"
  done
  echo "s10,movie,../empty,20,AMPKAR_480/AMPKAR_405,1,condition_0"
} > "$folder/config/samples.csv"
echo "samples: config/samples.csv" > "$folder/config/config.yaml"
cd "$folder"
snakemake --snakefile "$root/Snakefile" --cores "${2:-2}" || echo "exit status $?"
ls -d results/*
