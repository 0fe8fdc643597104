#!/usr/bin/env bash
# How the time of the base and of `extract` grows with image size, threads, batch and number of files.
#
#   scripts/bench_scaling.sh PHOTOGRAPHS [--precision NAME] [--isa NAME]
#
# PHOTOGRAPHS has a folder train with a folder a class. First: cargo build --release --workspace --examples --bins
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 1 ] || { sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2; }
photographs=$1
shift
base=$here/target/release/examples/bench_base
extract=$here/target/release/extract
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rate() { "$base" "$@" --seconds 3 | sed -n 's/^batch [0-9]*: \([0-9.]*\) images.*median \([0-9.]*\)).*/\1 (median \2)/p'; }
# line NAME FLAGS...: its rate; what fails ends the script.
line() {
  local found
  found=$(rate "${@:2}")
  echo "  $1  $found"
}

echo "image size, batch 20: images/s of the base"
for size in 64 96 150 224 299; do line "$size" --size "$size" --batch 20 "$@"; done
echo "threads, 150x150, batch 20: images/s of the base"
for threads in $(seq "$(nproc)"); do line "$threads" --threads "$threads" --batch 20 "$@"; done
echo "batch, 150x150: images/s of the base"
for batch in 1 2 5 20 64; do line "$batch" --batch "$batch" "$@"; done

echo "files, 150x150: seconds of the whole extract, peak memory"
mapfile -t files < <(find "$photographs/train" -type f | sort)
for count in 100 400 1500; do
  rm -rf "$scratch/data" "$scratch/features"
  for class in a b; do mkdir -p "$scratch/data/train/$class"; done
  for i in $(seq 0 $((count - 1))); do
    file=${files[$((i * ${#files[@]} / count))]}
    [ $((i % 2)) = 0 ] && class=a || class=b
    ln -s "$(realpath "$file")" "$scratch/data/train/$class/$i.${file##*.}"
  done
  python3 - "$count" "$extract" --data "$scratch/data" --features "$scratch/features" --models "$here/models" "$@" <<'PY'
import resource, subprocess, sys, time
count, command = sys.argv[1], sys.argv[2:]
start = time.monotonic()
run = subprocess.run(command, capture_output=True, text=True)
if run.returncode:
    sys.exit(run.stderr)
seconds = time.monotonic() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"  {count}  {seconds:.1f} s  {int(count) / seconds:.1f} images/s with start-up  {peak:.0f} MiB")
PY
done
