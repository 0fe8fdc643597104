#!/usr/bin/env bash
# Others read what `cache export` and `predict --parquet` write: tests/exports/check_tables.py in an environment of its own.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_tables.sh [--quick]

Makes a Python environment (bench/venv-tables, kept) with pyarrow, pandas, polars, duckdb, safetensors, embedding-reader,
faiss-cpu and lancedb, exports drawn features in every format, and compares what each of them reads with the .npy files, bit by bit.

  --quick     pyarrow, pandas and safetensors alone

Uses the binaries of the last debug build, and builds them where they are missing; BIN=DIR takes others.
Needs python3 with venv. Where no package index can be reached it says so and skips, but fails if CI is set.
HELP
}

quick=
case "${1-}" in
  '') ;;
  --quick) quick=1 ;;
  -h | --help) usage; exit 0 ;;
  *) echo "test_tables.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
for tool in extract predict fit-head cache; do
  if [[ ! -x $bin/$tool && -z ${BIN-} ]]; then
    cargo build --locked --quiet -p cli
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
venv=bench/venv-tables
packages=(numpy pyarrow pandas safetensors)
[[ -n $quick ]] || packages+=(polars duckdb embedding-reader faiss-cpu lancedb)
if ! { [[ -x $venv/bin/python ]] || "${PYTHON:-python3}" -m venv "$venv"; } >"$work/pip.log" 2>&1 ||
  ! "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >>"$work/pip.log" 2>&1; then
  tail -n 5 "$work/pip.log" >&2
  if [[ -n ${CI-} ]]; then
    echo "test_tables.sh: expected ${packages[*]} from the package index, found none" >&2
    echo "hint: see pip config list; behind a mirror, set PIP_INDEX_URL" >&2
    exit 1
  fi
  echo "skipped: no Python environment with ${packages[*]} can be had here"
  exit 0
fi

export PYTHONDONTWRITEBYTECODE=1 TQDM_DISABLE=1
"$venv/bin/python" tests/exports/check_tables.py "$bin" "$work" ${quick:+--quick}
