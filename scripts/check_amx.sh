#!/usr/bin/env bash
# Runs the tests of the AMX kernels where the processor has no AMX: the kernel's own instructions are executed, and the
# tile instructions among them, which trap, are done in software (crates/kernels/src/bf16/emulator.rs). Needs Linux and
# AVX-512, and says when it skips. On a processor with AMX the tests run on its own tiles.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! grep -qw avx512f /proc/cpuinfo 2>/dev/null; then
  echo 'skipped: no Linux, or no AVX-512, which the kernels around the tiles need'
  exit 0
fi
cargo test --locked -p kernels --features emulate-amx -- "$@"
