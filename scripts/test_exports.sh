#!/usr/bin/env bash
# Exported models give predict's probabilities in the programs that they are for: tests/exports in a Python environment.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_exports.sh [--quick | CASE...]

Trains small models on drawn pictures with the built binaries, on every base with random weights, exports them as ONNX, and
holds what ONNX Runtime and OpenVINO compute to predict's own probabilities. Prints the worst difference of each. Without
arguments then also what --with-resize makes of pictures of many sizes, to Pillow's own levels.

  --quick     four models instead of all
  CASE        these, such as resnet50 or 'pooled avg'

The Python environment is kept in bench/venv-exports (VENV=DIR: elsewhere), about 700 MB.
Uses the binaries of the last debug build, and builds them where they are missing; BIN=DIR takes others.
Needs python3 with venv. Where no package index can be reached it says so and skips, but fails if CI is set.
HELP
}

case "${1-}" in
  -h | --help) usage; exit 0 ;;
  --quick) ;;
  -*) echo "test_exports.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
for tool in extract fit-head predict feature-cache; do
  if [[ ! -x $bin/$tool && -z ${BIN-} ]]; then
    cargo build --locked --quiet -p cli
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=${VENV:-bench/venv-exports}
packages=(numpy onnx onnxruntime openvino pillow)
if ! "$venv/bin/python" -c 'import numpy, onnx, onnxruntime, openvino, PIL' 2>/dev/null; then
  if ! { "${PYTHON:-python3}" -m venv "$venv" && "$venv/bin/pip" install --quiet "${packages[@]}"; } >"$work/pip.log" 2>&1; then
    tail -n 5 "$work/pip.log" >&2
    if [[ -n ${CI-} ]]; then
      echo "test_exports.sh: expected ${packages[*]} from the package index, found none" >&2
      echo "hint: see pip config list; behind a mirror, set PIP_INDEX_URL" >&2
      exit 1
    fi
    echo "skipped: no Python environment with ${packages[*]} can be had here"
    exit 0
  fi
fi

export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/python" tests/exports/check_onnx.py "$bin" "$work/models" "$@"
if [[ $# -eq 0 ]]; then
  "$venv/bin/python" tests/exports/check_resize.py "$bin" "$work/resize"
fi
