#!/usr/bin/env bash
# Everything that only a GPU can show, in under 8 minutes; prints tables and leaves them in a folder.
#
#   benchmarks/gpu.sh [FOLDER] [PYTHON]     on a GPU, from the root of a checkout
#   DEVICE=cpu benchmarks/gpu.sh            the same at a size that means nothing: is the script sound?
set -uo pipefail
out=${1:-runs/gpu}
python=${2:-python}
device=${DEVICE:-cuda}
mkdir -p "$out"
if [ "$device" = cuda ]; then
  size=t5-base dtype=bfloat16 few=()
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv | tee "$out/gpu.csv"
else
  size=tiny dtype=float32 few=(--set warm_start.steps=2 --budget steps=2 --limit test=8)
fi
failed=0
try() { # seconds, name, command: its output in a file too
  echo "== $2"
  timeout "$1" "${@:3}" 2>&1 | tee "$out/$2.txt"
  [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "$2 failed"; failed=1; }
}
bench() { # name, seconds, options
  try "$2" "$1" "$python" -m benchmarks --only "$1" --size "$size" --device "$device" --dtype "$dtype" \
    --json "$out/$1.json" "${@:3}"
}
run() { # folder
  try 120 "run-$1" "$python" -m warmup_bench run --task wmt --seeds 1 --device "$device" --out "$out/$1" "${few[@]}"
}
bench gpu 150 --rounds 5
bench training_step 60 --rounds 5
bench memory 60
bench decoding 90 --rounds 2
try 60 tests "$python" -m pytest -m gpu -n 0
# The same command twice, at a scale that has train.deterministic on.
run first
run second
same=yes
while read -r file; do
  cmp "$out/first/$file" "$out/second/$file" || same=no
done < <(cd "$out/first" && find trainings cells -name '*.safetensors' -o -name predictions.parquet)
echo "two runs of one command give the same weights and predictions: $same" | tee "$out/repeated.txt"
[ "$same" = yes ] || failed=1
try 60 dry-run "$python" -m warmup_bench run --task wmt --seeds 1 --device "$device" --dry-run --out "$out/third"
exit $failed
