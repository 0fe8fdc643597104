#!/usr/bin/env bash
# Every parser against made-up files.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/fuzz.sh [SECONDS [RUNS [TARGET ...]]]

Runs each fuzz target (all of fuzz/targets without TARGET) until it has made so many RUNS (1,000,000) or so many SECONDS
have passed (600), and prints a table. A run that panics, takes over a minute (TIMEOUT=SECONDS), asks for more than 1 GiB
at once, or has more than 1 GiB in all ends its target; the file that did it lies in fuzz/artifacts. Exit 1 if there was
one.

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

one() {
  local name=$1 code=0 begin=$SECONDS
  mkdir -p "fuzz/found/$name" "fuzz/artifacts/$name"
  FUZZ_PANICS=$log/$name.panics ASAN_OPTIONS=detect_odr_violation=0 \
    "$build/$host/release/$name" -runs="$runs" -max_total_time="$seconds" -timeout="${TIMEOUT:-60}" \
    -rss_limit_mb=1024 -malloc_limit_mb=1024 -print_final_stats=1 -artifact_prefix="fuzz/artifacts/$name/" \
    "fuzz/found/$name" "fuzz/corpus/$name" >"$log/$name" 2>&1 || code=$?
  stat() { sed -n "s/^stat::$1: *//p" "$log/$name" | tail -n 1; }
  local panics=0
  [[ ! -e $log/$name.panics ]] || panics=$(wc -l <"$log/$name.panics")
  printf '| %s | %s | %s | %s | %s | %s |\n' "$name" "$(stat number_of_executed_units)" "$((SECONDS - begin))" \
    "$((code != 0))" "$panics" "$(stat peak_rss_mb)"
  if ((code != 0)); then
    grep -E 'panicked|ERROR|SUMMARY|Test unit written' -A2 "$log/$name" >&2 || tail -n 20 "$log/$name" >&2
    touch "$log/failed"
  fi
  if ((panics > 0)); then
    echo "$name: caught panics, by place:" >&2
    sort "$log/$name.panics" | uniq -c | sort -rn >&2
  fi
}

printf '| target | runs | seconds | crashes | caught panics | peak memory, MiB |\n|---|---|---|---|---|---|\n'
for name in "${targets[@]}"; do
  while (($(jobs -pr | wc -l) >= ${JOBS:-1})); do wait -n || true; done
  one "$name" &
done
wait
[[ ! -e $log/failed ]]
