#!/usr/bin/env bash
# Python reads what the tools write, and computes the same: tests/python/test_interop.py in a throw-away environment.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_python.sh

Makes a throw-away Python environment with numpy and safetensors, runs the built extract, fit-head and predict
on a few drawn images, and holds what they write to what numpy reads and computes. Everything goes with the end.

Uses the binaries of the last debug build, and builds them where they are missing; BIN=DIR takes others.
Needs python3 with venv. Where no package index can be reached it says so and skips, but fails if CI is set.
HELP
}

case "${1-}" in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) echo "test_python.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
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
if ! { "$python" -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet numpy safetensors; } >"$work/pip.log" 2>&1; then
  tail -n 5 "$work/pip.log" >&2
  if [[ -n ${CI-} ]]; then
    echo "test_python.sh: expected numpy and safetensors from the package index, found none" >&2
    echo "hint: see pip config list; behind a mirror, set PIP_INDEX_URL" >&2
    exit 1
  fi
  echo 'skipped: no Python environment with numpy and safetensors can be had here'
  exit 0
fi

PYTHONDONTWRITEBYTECODE=1 "$work/venv/bin/python" tests/python/test_interop.py "$bin" "$work"
