#!/usr/bin/env bash
# Removes each sync of the cache in turn and expects the crash tests to notice.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/check_crash_model.sh [FIRST [LAST]]

Every place in crates/cache/src that puts a file or a folder on disk is replaced by nothing, one at a time, in a copy of
the tree; the tests of crashes and power cuts must fail then. Prints a table. Exit 1 when one removal goes unnoticed.
FIRST and LAST choose places by their number (all without them).

  -h, --help  shows this

Takes about a minute a place. The copy and its build are in target/crash-model (or CRASH_MODEL_DIR).
HELP
}

case "${1-}" in
  -h | --help) usage; exit 0 ;;
  *[!0-9]*) echo "check_crash_model.sh: expected a number, found '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
first=${1:-1} last=${2:-1000000}
cd "$(dirname "$0")/.."
root=$PWD
dir=${CRASH_MODEL_DIR:-$root/target/crash-model}
tree=$dir/tree
export CARGO_TARGET_DIR=$dir/build
rm -rf "$tree"
mkdir -p "$tree"
# What git knows and what is not ignored, as it is now. New times (-m), or cargo would take a removal of the last call for it.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' path; do
  if [[ -f $path ]]; then printf '%s\0' "$path"; fi
done | tar --null -T - -cf - | tar -xmf - -C "$tree"
cd "$tree"

# The calls; each is one expression on one line.
call='(&?\*?[A-Za-z_.0]+\.(sync|sync_data)\(\)|(atomic::sync_folder|(disk\.)?sync_dir)\([^()]*\)|self\.sync\(&?m?u?t? ?[a-z]*\))'
mapfile -t places < <(
  grep -rnE --include='*.rs' "$call" crates/cache/src | sort |
    grep -vE '/(faulty|crash_tests)/|/tests\.rs:|^[^:]*:[0-9]*: *(//|(pub\(crate\) )?fn )|unwrap\(\)' || true
)
((${#places[@]} > 0)) || { echo "check_crash_model.sh: found no sync in crates/cache/src" >&2; exit 1; }

# Builds, then tests: 0 green, 1 a test failed, 2 it does not compile.
check() {
  cargo test --locked --quiet -p cache --lib --no-run >"$dir/log" 2>&1 || return 2
  local tests
  # Most places are noticed by the first, which takes seconds.
  for tests in 'crash_tests::a_fresh_run disk::' 'crash_tests::'; do
    # shellcheck disable=SC2086
    timeout 1800 cargo test --locked --quiet -p cache --lib -- $tests >"$dir/log" 2>&1 || return 1
  done
}

echo "building, and testing with every sync in its place"
code=0
check || code=$?
if ((code != 0)); then
  tail -n 30 "$dir/log" >&2
  echo "check_crash_model.sh: expected the tests to pass on the unchanged tree" >&2
  exit 1
fi

green=0 noticed=0 number=0
for place in "${places[@]}"; do
  number=$((number + 1))
  ((number >= first && number <= last)) || continue
  file=${place%%:*} rest=${place#*:}
  line=${rest%%:*} text=${rest#*:}
  # What the call gives when it succeeds, of the type that is expected there.
  case "$text" in
    *.map_err*) nothing='Ok::<(), std::io::Error>(())' ;;
    *sync_data* | *sync_folder* | *'if let Err(e) = self.file.sync()'* | *'sync_dir(above)'*) nothing='Ok::<(), std::io::Error>(())' ;;
    *) nothing='Ok::<(), crate::error::CacheError>(())' ;;
  esac
  cp "$file" "$dir/saved"
  sed -E -i "${line}s~$call~$nothing~" "$file"
  code=0
  check || code=$?
  cp "$dir/saved" "$file"
  case $code in
    0) result='NOT NOTICED' green=$((green + 1)) ;;
    1) result='noticed' noticed=$((noticed + 1)) ;;
    *)
      tail -n 30 "$dir/log" >&2
      echo "check_crash_model.sh: without $file:$line it does not compile" >&2
      exit 1
      ;;
  esac
  printf '%3d  %-11s  %-32s %s\n' "$number" "$result" "$file:$line" "$(sed 's/^ *//' <<<"$text")"
done
echo "$noticed of $((noticed + green)) removals noticed"
((green == 0))
