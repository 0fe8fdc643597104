#!/usr/bin/env bash
# Runs the tests of the AMX kernels where the processor has no AMX: the kernel's own instructions are executed, and the
# tile instructions among them, which trap, are done in software (crates/kernels/src/bf16/emulator.rs). Needs Linux and
# AVX-512, and says when it skips. On a processor with AMX the tests run on its own tiles. Then it looks at the machine code of all
# kernels for vector instructions that are calls.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! grep -qw avx512f /proc/cpuinfo 2>/dev/null; then
  echo 'skipped: no Linux, or no AVX-512, which the kernels around the tiles need'
  exit 0
fi
cargo test --locked -p kernels --features emulate-amx -- "$@"

# A closure within a kernel may not be compiled for wide vectors: then each of its instructions is a call, and no test of values sees it.
if ! command -v objdump >/dev/null; then
  echo 'skipped: no objdump, to look at the machine code'
  exit 0
fi
cargo build --locked --release --quiet -p kernels --example accuracy
calls=$(objdump --disassemble --demangle --no-show-raw-insn "${CARGO_TARGET_DIR:-target}/release/examples/accuracy" |
  awk '/^[0-9a-f]+ <.*>:$/ { name = $0 } /call .*core::core_arch::x86::avx/ { print name }' | sort | uniq -c)
if [ -n "$calls" ]; then
  printf 'error: vector instructions are calls in\n%s\nhint: write loops in place of closures, as in `map`\n' "$calls" >&2
  exit 1
fi
