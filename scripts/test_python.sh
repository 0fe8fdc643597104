#!/usr/bin/env bash
# Python reads what the tools write, and computes the same: tests/python in a throw-away environment.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_python.sh [--quick | BASE...]

Makes a throw-away Python environment with numpy, safetensors and Keras, runs the built extract, fit-head and predict
on a few drawn images, and holds what they write to what numpy reads and computes. Then each base (or those named, such as
resnet50) with random weights that Keras wrote, at three sizes: its features to Keras's own. Everything goes with the end.

  --quick     without the bases

Uses the binaries of the last debug build, and builds them where they are missing; BIN=DIR takes others.
Needs python3 with venv. Where no package index can be reached it says so and skips, but fails if CI is set.
HELP
}

quick=
case "${1-}" in
  --quick) quick=1; shift ;;
  -h | --help) usage; exit 0 ;;
  -*) echo "test_python.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
for tool in extract fit-head predict cache; do
  if [[ ! -x $bin/$tool && -z ${BIN-} ]]; then
    cargo build --locked --quiet -p cli
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
packages=(numpy safetensors)
[[ -n $quick ]] || packages+=('keras>=3.11' jax h5py)
if ! { "$python" -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet "${packages[@]}"; } >"$work/pip.log" 2>&1; then
  tail -n 5 "$work/pip.log" >&2
  if [[ -n ${CI-} ]]; then
    echo "test_python.sh: expected ${packages[*]} from the package index, found none" >&2
    echo "hint: see pip config list; behind a mirror, set PIP_INDEX_URL" >&2
    exit 1
  fi
  echo "skipped: no Python environment with ${packages[*]} can be had here"
  exit 0
fi

export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3
"$work/venv/bin/python" tests/python/test_interop.py "$bin" "$work"
[[ -n $quick ]] || "$work/venv/bin/python" tests/python/test_bases.py "$bin" "$work" "$@"
