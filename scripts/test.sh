#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, docs, tests, Python interop.
# Needs Rust and Python 3 with pip; fetches the rest itself. Tests that need what is not there say so and skip.
#
#   scripts/test.sh            all of it
#   scripts/test.sh --quick    format, lints, docs and tests alone
set -euo pipefail
cd "$(dirname "$0")/.."

quick=
case "${1-}" in
  '') ;;
  --quick) quick=1 ;;
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  *) echo "error: unknown argument '$1'" >&2; echo "hint: scripts/test.sh --help" >&2; exit 2 ;;
esac

step() { printf '\n== %s (%ss so far)\n' "$1" "$SECONDS"; }

for component in rustfmt clippy; do
  if ! cargo "${component/rust/}" --version >/dev/null 2>&1; then
    step "installing $component"
    rustup component add "$component"
  fi
done

step 'format'
cargo fmt --all --check

step 'lints'
cargo clippy --workspace --all-targets --locked -- -D warnings

step 'lints without candle, and of the code for CUDA'
cargo clippy -p cli -p backbone --no-default-features --features cli/jpeg-simd --all-targets --locked -- -D warnings
if [ "$(uname -s)" = Linux ]; then
  scripts/cuda_build.sh --check --features cudnn
fi

step 'documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet

step 'tests'
cargo test --workspace --locked

if [ -z "$quick" ]; then
  step 'AMX kernels, in software where the processor lacks it'
  scripts/check_amx.sh
  step 'the same bits with tiles of another shape'
  cargo test --locked -p kernels --features fused-portable --test bits --test same_bits
  step 'dependencies'
  scripts/dependencies.sh
  step 'Python interop'
  scripts/test_python.sh
  step 'the Python module'
  scripts/test_wheel.sh
  step 'notebooks'
  scripts/test_notebooks.sh
  step 'exported models in ONNX Runtime and OpenVINO'
  scripts/test_exports.sh --quick
  step 'exported models in Keras'
  scripts/test_exports_keras.sh --quick
  step 'tables for other programs'
  scripts/test_tables.sh --quick
  step 'real weights and photographs'
  # Those of the tests above: a release build would take as long as all of them.
  BIN=${CARGO_TARGET_DIR:-target}/debug scripts/test_photos.sh
  step 'runs killed at random moments'
  scripts/kill_test.sh 20
fi

step 'all passed'
