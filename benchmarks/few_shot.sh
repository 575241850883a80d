#!/usr/bin/env bash
# Few-shot on U373 phase contrast: tune on its first 2 and 10 frames, test on its last 9.
# bash benchmarks/few_shot.sh DATA/phc_u373 WORK_FOLDER
set -euo pipefail
data=$1 work=$2
mapfile -t ids < <(cd "$data" && ls | grep -v _label | sed 's/\.png$//' | sort)
images=()
for id in "${ids[@]: -9}"; do images+=("$data/$id.png"); done
mkdir -p "$work/truth"
for id in "${ids[@]: -9}"; do cp "$data/${id}_label.png" "$work/truth/"; done

score() { # name, options of segment
  local name=$1
  shift
  cellsam-core segment "${images[@]}" -o "$work/$name" "$@" 2> "$work/$name.log"
  printf '%s: ' "$name"
  cellsam-core evaluate segmentation "$work/$name" "$work/truth" | tr -d '\n'
  echo
}

score zero_shot_auto
score zero_shot_80_px --cell-diameter-px 80
for n in 2 10; do
  mkdir -p "$work/first_$n"
  for id in "${ids[@]:0:$n}"; do cp "$data/$id.png" "$data/${id}_label.png" "$work/first_$n/"; done
  cellsam-core finetune "$work/first_$n" -o "$work/tuned_$n.safetensors" 2> "$work/tuned_$n.log"
  score "tuned_${n}_auto" --weights "$work/tuned_$n.safetensors"
done
