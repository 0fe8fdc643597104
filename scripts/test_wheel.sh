#!/usr/bin/env bash
# The Python wheel as a user gets it: built, installed into fresh environments, tried.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_wheel.sh [--release] [--python LIST] [--wheel FILE]

Builds the wheel, makes a throw-away environment, installs the wheel with nothing but numpy, imports it and runs its
programs, then runs tests/python/module with pytest, checks types and stubs with mypy and stubtest, and prints the
wheel's size. Everything but the wheel, which stays in target/wheels, goes with the end.

  --release      the release profile; without it the dev profile, which is built sooner and weighs more
  --python LIST  versions to try, such as 3.10,3.13 [default: that of python3]; the last one also checks types
  --wheel FILE   try this wheel instead of building one

Needs python3 with venv. What is missing of the optional packages (scikit-learn, Pillow, tqdm) skips its tests.
HELP
}

profile=dev versions= wheel=
while (($#)); do
  case "$1" in
    --release) profile=release ;;
    --python) versions=${2:?--python needs a list}; shift ;;
    --wheel) wheel=$(realpath "${2:?--wheel needs a file}"); shift ;;
    -h | --help) usage; exit 0 ;;
    *) echo "test_wheel.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
  esac
  shift
done
cd "$(dirname "$0")/.."
root=$PWD

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A pythonX.Y of that name, or one of pyenv.
interpreter() {
  if [[ -z $1 ]]; then echo python3; return; fi
  if "python$1" -c '' 2>/dev/null; then echo "python$1"; return; fi
  local found
  found=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python 2>/dev/null | tail -n 1 || true)
  if [[ -z $found ]]; then
    echo "test_wheel.sh: no Python $1 here" >&2
    echo "hint: install it, or leave it out of --python" >&2
    exit 1
  fi
  echo "$found"
}

if [[ -z $wheel ]]; then
  python3 -m venv "$work/build"
  "$work/build/bin/pip" install --quiet 'maturin>=1.9,<2'
  start=$SECONDS
  rm -rf "$work/wheels"
  "$work/build/bin/maturin" build --profile "$profile" --locked --out "$work/wheels" --quiet
  mkdir -p "${CARGO_TARGET_DIR:-target}/wheels"
  cp "$work"/wheels/*.whl "${CARGO_TARGET_DIR:-target}/wheels/"
  wheel=$(ls "$work"/wheels/*.whl)
  echo "built in $((SECONDS - start)) s, profile $profile"
fi
echo "$(basename "$wheel"): $(du --apparent-size -h "$wheel" | cut -f 1)B"

try() { # VERSION
  local python env
  python=$(interpreter "$1")
  env=$work/env-${1:-default}
  "$python" -m venv "$env"
  local start=$SECONDS
  "$env/bin/pip" install --quiet "$wheel"
  echo "--- $("$env/bin/python" --version): installed in $((SECONDS - start)) s"
  # Nothing but numpy, and both ways in.
  (cd "$work" && "$env/bin/python" -c 'import feature_cache; print("feature_cache", feature_cache.__version__)')
  (cd "$work" && "$env/bin/extract" --version && "$env/bin/python" -m feature_cache --version)
  "$env/bin/pip" install --quiet pytest
  "$env/bin/pip" install --quiet scikit-learn pillow tqdm || echo "without scikit-learn, Pillow and tqdm" >&2
  (cd "$root/tests/python/module" && "$env/bin/python" -m pytest -q -rs -p no:cacheprovider)
}

IFS=, read -ra list <<<"$versions"
((${#list[@]})) || list=("")
for version in "${list[@]}"; do try "$version"; done

env=$work/env-${list[-1]:-default}
"$env/bin/pip" install --quiet mypy
cd "$work"
"$env/bin/mypy" --config-file "$root/pyproject.toml" -p feature_cache
"$env/bin/python" -m mypy.stubtest --mypy-config-file "$root/pyproject.toml" feature_cache._native
echo "wheel: all tried"
