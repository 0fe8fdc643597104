#!/usr/bin/env bash
# Builds the programs with CUDA, also where neither a GPU nor a CUDA toolkit is.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/cuda_build.sh [--features cuda|cudnn] [--check] [--clean]

Builds all programs with the cargo feature into target/cuda/release. Without a toolkit (nvcc in PATH, or in CUDA_HOME or
/usr/local/cuda) NVIDIA's compiler is fetched from the Python package index into target/cuda-toolkit (300 MB), and
the libraries, which are loaded at run time, are stood in for by empty ones while linking. candle's kernels take ten to
twenty minutes on two cores, once.

  --features F  cuda (default), or cudnn: convolutions by cuDNN
  --check       lints alone, as cargo clippy does: with a stand-in for nvcc, since no kernel is compiled; needs no toolkit
  --clean       removes what earlier runs fetched and built
  -h, --help    shows this

CUDA_COMPUTE_CAP=NUMBER is the oldest GPU that the kernels run on; 80 (Ampere) here: newer ones compile them when they start.
The programs need NVIDIA's driver and cuBLAS, cuRAND (and cuDNN) of CUDA 13 where they run on a GPU, in
LD_LIBRARY_PATH, CUDA_HOME or /usr/local/cuda; without them they run on the CPU.
HELP
}

fail() { echo "error: $1" >&2; echo "hint: $2" >&2; exit "${3-1}"; }

features=cuda check=
cd "$(dirname "$0")/.."
target=$PWD/target/cuda
toolkit=$PWD/target/cuda-toolkit
while (($# > 0)); do
  case $1 in
    --features)
      features=${2-}
      [[ $features == cuda || $features == cudnn ]] ||
        fail "--features: expected cuda or cudnn, found '$features'" 'scripts/cuda_build.sh --help' 2
      shift
      ;;
    --check) check=1 ;;
    --clean) rm -rf "$target" "$toolkit" "$toolkit-fake"; exit 0 ;;
    -h | --help) usage; exit 0 ;;
    *) fail "unknown argument '$1'" 'scripts/cuda_build.sh --help' 2 ;;
  esac
  shift
done
[[ $(uname -s) == Linux ]] || fail "expected Linux, found $(uname -s)" "cargo build --release --features $features"

# What the packages below bring; the kernels of another version are refused by an older driver.
version=13.0

# A folder that passes for the toolkit to crates that look for one.
use() {
  export CUDA_HOME=$1 CUDA_PATH=$1 CUDA_ROOT=$1 CUDA_TOOLKIT_ROOT_DIR=$1 PATH="$1/bin:$PATH"
}

# Empty libraries to link with: the programs load the real ones themselves, and the linker drops what defines nothing.
stand_ins() {
  local folder=$1 name
  mkdir -p "$folder"
  for name in cuda nvrtc curand cublas cublasLt cudnn cudart; do
    [[ -e $folder/lib$name.so ]] ||
      cc -shared -nostdlib -x c /dev/null -o "$folder/lib$name.so" -Wl,-soname,"lib$name.so"
  done
}

# A compiler that compiles nothing: enough to check Rust.
fake_compiler() {
  local folder=$1
  mkdir -p "$folder/bin" "$folder/include" "$folder/lib64"
  cat >"$folder/bin/nvcc" <<NVCC
#!/usr/bin/env bash
if [[ \$* == *--version* ]]; then
  printf '%s\n' 'nvcc: NVIDIA (R) Cuda compiler driver' 'Copyright (c) none' 'Built never' \\
    'Cuda compilation tools, release $version, V$version.0'
  exit
fi
output= folder=. sources=()
while ((\$# > 0)); do
  case \$1 in
    -o | --output-file) output=\$2; shift ;;
    --output-directory) folder=\$2; shift ;;
    *.cu) sources+=("\$1") ;;
  esac
  shift
done
if [[ -n \$output ]]; then : >"\$output"; fi
for source in "\${sources[@]}"; do
  [[ -n \$output ]] || : >"\$folder/\$(basename "\${source%.cu}").ptx"
done
NVCC
  chmod +x "$folder/bin/nvcc"
}

# NVIDIA's compiler from the package index.
fetch() {
  [[ -e $toolkit/ready ]] && return
  command -v python3 >/dev/null || fail 'python3 is not there' 'it fetches the compiler; or install a CUDA toolkit'
  rm -rf "$toolkit"
  python3 -m venv "$toolkit/venv"
  "$toolkit/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    "nvidia-cuda-nvcc==$version.*" "nvidia-nvvm==$version.*" "nvidia-cuda-crt==$version.*" \
    "nvidia-cuda-runtime==$version.*" "nvidia-cuda-cccl==$version.*"
  local found=("$toolkit"/venv/lib/python3*/site-packages/nvidia/cu13)
  [[ -x ${found[0]}/bin/nvcc ]] || fail 'the packages bring no nvcc' 'install a CUDA toolkit and put its nvcc in PATH'
  ln -s "${found[0]}" "$toolkit/cuda"
  touch "$toolkit/ready"
}

export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP-80}
if [[ -n $check ]]; then
  fake_compiler "$toolkit-fake"
  use "$toolkit-fake"
  # In the usual target folder: all but candle and what is above it is checked already. No build has this capability, so none takes
  # the empty kernels for its own.
  export CUDA_COMPUTE_CAP=50
  exec cargo clippy --locked --workspace --all-targets --features "cli/$features" -- -D warnings
fi
export CARGO_TARGET_DIR=$target

found=$(command -v nvcc || true)
for root in "${CUDA_HOME-}" "${CUDA_PATH-}" /usr/local/cuda; do
  [[ -n $found || -z $root || ! -x $root/bin/nvcc ]] || found=$root/bin/nvcc
done
if [[ -n $found ]]; then
  root=$(cd "$(dirname "$(readlink -f "$found")")/.." && pwd)
else
  fetch
  root=$toolkit/cuda
fi
use "$root"
stand_ins "$target/link"
# After the toolkit's own folders, if it has any.
export RUSTFLAGS="${RUSTFLAGS-} -L native=$target/link"
cargo build --release --locked -p cli --features "$features"
