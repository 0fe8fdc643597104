#!/usr/bin/env bash
# Keras loads exported models, predicts the same and trains on: tests/exports/check_keras.py in throw-away environments.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_exports_keras.sh [--quick | MODEL...]

Exports a head on each base with random weights, a network trained from scratch, a fine-tuned and a pooled head, and holds what
Keras predicts from the files to what predict says; then one step of fit, saving and loading. Keras is 3.0.5, 3.8.0 and the newest.
MODEL is a base such as resnet50, or scratch, tuned or pooled.

  --quick     VGG16, MobileNetV2 at its narrowest and the three others, with the newest Keras

Uses the binaries of the last debug build, and builds them where they are missing; BIN=DIR takes others. PYTHONS="PATH..." are
interpreters that have a Keras, instead of new environments. Needs python3 with venv. Where no package index can be reached
it says so and skips, but fails if CI is set.
HELP
}

versions=('keras==3.0.5 jax[cpu]<0.4.31 numpy<2 packaging' 'keras==3.8.0 jax[cpu]<0.5' 'keras jax[cpu]')
models=("$@")
case "${1-}" in
  --quick) versions=("${versions[-1]}"); models=(vgg16 mobilenet-v2-0.35 scratch tuned pooled) ;;
  -h | --help) usage; exit 0 ;;
  -*) echo "test_exports_keras.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
for tool in extract fit-head predict feature-cache; do
  if [[ ! -x $bin/$tool && -z ${BIN-} ]]; then
    cargo build --locked --quiet --workspace
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
read -ra pythons <<<"${PYTHONS-}"
if [[ ${#pythons[@]} -eq 0 ]]; then
  for version in "${versions[@]}"; do
    venv=$work/venv-${#pythons[@]}
    read -ra packages <<<"$version h5py safetensors"
    if ! { "${PYTHON:-python3}" -m venv "$venv" && "$venv/bin/pip" install --quiet "${packages[@]}"; } >"$work/pip.log" 2>&1; then
      tail -n 5 "$work/pip.log" >&2
      if [[ -n ${CI-} ]]; then
        echo "test_exports_keras.sh: expected ${packages[*]} from the package index, found none" >&2
        echo "hint: see pip config list; behind a mirror, set PIP_INDEX_URL" >&2
        exit 1
      fi
      echo "skipped: no Python environment with ${packages[*]} can be had here"
      exit 0
    fi
    pythons+=("$venv/bin/python")
  done
fi

export PYTHONDONTWRITEBYTECODE=1 TF_CPP_MIN_LOG_LEVEL=3
mkdir "$work/models"
"${pythons[-1]}" tests/exports/check_keras.py make "$bin" "$work/models" ${models[@]+"${models[@]}"}
for python in "${pythons[@]}"; do
  "$python" tests/exports/check_keras.py check "$work/models"
done
