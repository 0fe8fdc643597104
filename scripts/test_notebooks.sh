#!/usr/bin/env bash
# The notebooks, run from top to bottom as a reader would.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_notebooks.sh [--wheel FILE] [--keep] [NOTEBOOK…]

Makes a throw-away environment with the module, Jupyter's kernel, matplotlib, scikit-learn and PyTorch, and runs notebooks/*.ipynb, or those
that are named, on the sample photographs (FEATURE_CACHE_DATA names others). A cell that fails is an error.

  --wheel FILE  the module to use; without it the newest of target/wheels, which scripts/test_wheel.sh leaves there, or else one is built
  --keep        put the outputs into the notebooks
HELP
}

wheel= keep=
notebooks=()
while (($#)); do
  case "$1" in
    --wheel) wheel=$(realpath "${2:?--wheel needs a file}"); shift ;;
    --keep) keep=1 ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "test_notebooks.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
    *) notebooks+=("$(realpath "$1")") ;;
  esac
  shift
done
cd "$(dirname "$0")/.."
root=$PWD
((${#notebooks[@]})) || notebooks=("$root"/notebooks/*.ipynb)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
pip=("$work/env/bin/pip" install --quiet --no-cache-dir)
if [[ -z $wheel ]]; then
  wheel=$(ls -t "${CARGO_TARGET_DIR:-target}"/wheels/*.whl 2>/dev/null | head -n 1 || true)
fi
"${pip[@]}" "${wheel:-$root}"
"${pip[@]}" nbclient nbformat ipykernel matplotlib pillow scikit-learn tqdm
# What importing PyTorch needs besides the libraries for GPUs, which weigh gigabytes.
"${pip[@]}" filelock fsspec jinja2 networkx setuptools sympy typing-extensions && "${pip[@]}" --no-deps torch
"$work/env/bin/python" -c 'import torch' 2>/dev/null || "${pip[@]}" torch

# Away from the repository, so that what notebooks make goes with the end; the sample is kept for the next time.
data=${FEATURE_CACHE_DATA:-$root/data/traffic-lights}
[[ -n ${FEATURE_CACHE_DATA-} ]] || scripts/sample_data.sh "$data" >/dev/null
mkdir "$work/notebooks"
for notebook in "${notebooks[@]}"; do
  start=$SECONDS
  # Features are shared by the notebooks; weights are those of earlier runs.
  (cd "$work/notebooks" && PATH=$work/env/bin:$PATH FEATURE_CACHE_DATA=$data \
    "$work/env/bin/python" "$root/notebooks/run.py" "$notebook" ${keep:+--keep})
  echo "$(basename "$notebook"): $((SECONDS - start)) s"
done
echo 'notebooks: all ran'
