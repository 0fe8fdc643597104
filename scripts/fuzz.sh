#!/usr/bin/env bash
# Every parser against made-up files.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/fuzz.sh [SECONDS [RUNS [TARGET ...]]]

Runs each fuzz target (all of fuzz/targets without TARGET) until it has made so many RUNS (1,000,000) or so many SECONDS
have passed (600), and prints a table. A run that panics, takes over 10 seconds (TIMEOUT=SECONDS), asks for more than 1 GiB
at once, or has more than 1 GiB in all ends its target; the file that did it is in fuzz/artifacts. Exit 1 if there was
one. Inputs that take 2 seconds or more (SLOW=SECONDS) and longer than any before end nothing: they are listed, and kept
in fuzz/artifacts too, as slow-unit-*. Times are by the clock, so a busy machine or JOBS makes them longer.

In the first half of the runs and seconds inputs have up to 4 KiB, in the second up to 1 MiB (MAX_LEN=BYTES). Large seeds,
60 MB in all, are made by fuzz/large_seeds.py in fuzz/found, once and again when it changes. It needs Python 3 with numpy and
h5py: that of PYTHON, else an environment below fuzz/target with both from the package index.

The address sanitizer and overflow checks are on. What is found on the way is kept in fuzz/found and used the next time;
JOBS=N runs so many targets at a time (1). Panics that `images` catches in other people's decoders are counted apart, since
such a file is refused like any other.

Needs clang's run-time library as rustc brings it, and cargo-fuzz: cargo install cargo-fuzz. A stable rustc will do.
HELP
}

case "${1-}" in
  -h | --help) usage; exit 0 ;;
  *[!0-9]*) echo "fuzz.sh: expected a number of seconds, found '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
seconds=${1:-600} runs=${2:-1000000}
shift $(($# < 2 ? $# : 2))
cd "$(dirname "$0")/.."
if ! cargo fuzz --version >/dev/null 2>&1; then
  echo "fuzz.sh: expected cargo-fuzz, found none" >&2
  echo "hint: cargo install --locked cargo-fuzz" >&2
  exit 1
fi

targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in fuzz/targets/*.rs; do targets+=("$(basename "$source" .rs)"); done
fi
# Sanitizers are options of nightly compilers, which this lets a stable one have.
export RUSTC_BOOTSTRAP=1
build=${CARGO_TARGET_DIR:-fuzz/target}
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
if ! cargo fuzz build --target-dir "$build" >"$log/build" 2>&1; then
  tail -n 30 "$log/build" >&2
  exit 1
fi
host=$(rustc -vV | sed -n 's/^host: //p')

large_seeds() {
  local python=${PYTHON:-python3} made=fuzz/found/.large-seeds-of
  if cmp -s fuzz/large_seeds.py "$made"; then return; fi
  if ! "$python" -c 'import h5py, numpy' 2>/dev/null; then
    if ! { "$python" -m venv "$build/venv" && "$build/venv/bin/pip" install --quiet numpy h5py; } >"$log/pip" 2>&1; then
      tail -n 5 "$log/pip" >&2
      echo 'fuzz.sh: expected Python 3 with numpy and h5py for the large seeds, found none' >&2
      echo 'hint: PYTHON=PATH names one that has them; behind a mirror, set PIP_INDEX_URL' >&2
      exit 1
    fi
    python=$build/venv/bin/python
  fi
  rm -f fuzz/found/*/large-*
  "$python" fuzz/large_seeds.py
  cp fuzz/large_seeds.py "$made"
}
large_seeds

one() {
  local name=$1 code=0 begin=$SECONDS
  mkdir -p "fuzz/found/$name" "fuzz/artifacts/$name"
  rm -f "fuzz/artifacts/$name"/slow-unit-*
  # Small inputs first, which are a hundred times as fast, then large ones for the other half.
  local length pass=0
  for length in 4096 "${MAX_LEN:-1048576}"; do
    ((++pass))
    FUZZ_PANICS=$log/$name.panics ASAN_OPTIONS=detect_odr_violation=0 \
      "$build/$host/release/$name" -runs="$(((runs + 1) / 2))" -max_total_time="$(((seconds + 1) / 2))" -timeout="${TIMEOUT:-10}" \
      -max_len="$length" -report_slow_units="${SLOW:-2}" -rss_limit_mb=1024 -malloc_limit_mb=1024 -print_final_stats=1 \
      -artifact_prefix="fuzz/artifacts/$name/" "fuzz/found/$name" "fuzz/corpus/$name" >"$log/$name.$pass" 2>&1 || code=$?
    ((code == 0)) || break
  done
  stats() { sed -n "s/^stat::$1: *//p" "$log/$name".[12]; }
  local panics=0
  [[ ! -e $log/$name.panics ]] || panics=$(wc -l <"$log/$name.panics")
  printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$name" "$(stats number_of_executed_units | awk '{ sum += $1 } END { print sum + 0 }')" \
    "$((SECONDS - begin))" "$((code != 0))" "$panics" "$(stats slowest_unit_time_sec | sort -n | tail -n 1)" \
    "$(stats peak_rss_mb | sort -n | tail -n 1)"
  if ((code != 0)); then
    grep -E 'panicked|ERROR|SUMMARY|Test unit written' -A2 "$log/$name.$pass" >&2 || tail -n 20 "$log/$name.$pass" >&2
    touch "$log/failed"
  fi
  local slow
  slow=$(find "fuzz/artifacts/$name" -name 'slow-unit-*' | sort)
  [[ -z $slow ]] || printf '%s: slow:\n%s\n' "$name" "$slow" >&2
  if ((panics > 0)); then
    echo "$name: caught panics, by place:" >&2
    sort "$log/$name.panics" | uniq -c | sort -rn >&2
  fi
}

printf '| target | runs | seconds | crashes | caught panics | slowest, s | peak memory, MiB |\n|---|---|---|---|---|---|---|\n'
for name in "${targets[@]}"; do
  while (($(jobs -pr | wc -l) >= ${JOBS:-1})); do wait -n || true; done
  one "$name" &
done
wait
[[ ! -e $log/failed ]]
