#!/usr/bin/env bash
# Builds with CUDA and runs the programs where no GPU is: they need none of CUDA's libraries to start.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/check_cuda.sh [--features cuda|cudnn] [--built]

Builds by scripts/cuda_build.sh, then checks that the programs name none of CUDA's libraries among those that they need to start,
and, where there is no GPU, that --device auto runs on the CPU and --device cuda says what is missing.

  --features F  cuda (default) or cudnn
  --built       check what an earlier run of scripts/cuda_build.sh built, whichever feature that was
HELP
}

fail() { echo "error: $1" >&2; exit 1; }

features=cuda build=1
cd "$(dirname "$0")/.."
while (($# > 0)); do
  case $1 in
    --features)
      features=${2-}
      if [[ $features != cuda && $features != cudnn ]]; then
        echo "error: --features: expected cuda or cudnn, found '$features'" >&2
        echo 'hint: scripts/check_cuda.sh --help' >&2
        exit 2
      fi
      shift
      ;;
    --built) build= ;;
    -h | --help) usage; exit 0 ;;
    *) echo "error: unknown argument '$1'" >&2; echo 'hint: scripts/check_cuda.sh --help' >&2; exit 2 ;;
  esac
  shift
done
[[ -z $build ]] || scripts/cuda_build.sh --features "$features"
bin=$PWD/target/cuda/release

for program in feature-cache extract fit-head predict cache; do
  needed=$(readelf -d "$bin/$program" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
  if grep -E 'cuda|cublas|cudnn|curand|nvrtc|cudart|nvidia' <<<"$needed"; then
    fail "$program needs these to start: a function is missing in crates/cuda-libraries/src/symbols.rs"
  fi
done
echo 'no program needs a library of CUDA to start'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A grey pixel: enough for a base with drawn weights.
pixel=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==
for class in a b; do
  mkdir -p "$work/data/test/$class"
  base64 --decode <<<"$pixel" >"$work/data/test/$class/1.png"
done
extract() { # DEVICE FLAGS…
  local device=$1
  shift
  "$bin/extract" --data "$work/data" --models "$work/models" --weights random:1 --image-size 32 --features "$work/features" \
    --device "$device" "$@" 2>&1
}

if extract cuda >"$work/log"; then
  extract auto --overwrite | grep 'engine   candle cuda:0' || fail 'auto took no GPU where there is one'
  echo "a GPU is here: with its toolkit in PATH, run cargo test --release -p backbone --features $features --lib -- candle"
else
  code=$?
  cat "$work/log"
  ((code == 1)) || fail "--device cuda ended with code $code"
  grep -q 'hint: use --device cpu' "$work/log" || fail '--device cuda did not say what to do'
  extract auto | grep 'engine   cpu' || fail 'auto did not run on the CPU'

  # A driver and libraries, but no GPU: each function returns CUDA_ERROR_NO_DEVICE, and is reached through the jumps.
  mkdir "$work/libraries"
  while read -r prefix file; do
    for function in $(grep -oE "\b$prefix[A-Z]\w*" crates/cuda-libraries/src/symbols.rs | sort -u); do
      case $function in
        cuGetErrorString) echo 'int cuGetErrorString(int e, const char **text) { *text = "no device"; return 0; }' ;;
        *) echo "int $function(void) { return 100; }" ;;
      esac
    done >"$work/$prefix.c"
    cc -shared -fPIC -o "$work/libraries/$file" "$work/$prefix.c"
  done <<<'cu libcuda.so.1
cublas libcublas.so.13
curand libcurand.so.10
cudnn libcudnn.so.9'
  export LD_LIBRARY_PATH=$work/libraries CUDA_VISIBLE_DEVICES=
  if extract cuda >"$work/log"; then
    fail '--device cuda ran without a GPU'
  fi
  cat "$work/log"
  grep -q 'CUDA_ERROR_NO_DEVICE.*CUDA_VISIBLE_DEVICES=' "$work/log" || fail "what the driver says is lost"
  extract auto --overwrite | grep 'engine   cpu' || fail 'auto did not run on the CPU'
fi
echo 'passed'
