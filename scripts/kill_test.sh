#!/usr/bin/env bash
# Runs of extract that are killed at random moments and resumed must end bitwise as an undisturbed run does.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/kill_test.sh [N]

N times (20 without N): extract is killed with SIGKILL at one to three random moments, from its start to the giving of
the final names, then run to its end; features, labels, index and manifest (but for times) are compared bitwise with those
of an undisturbed run. Prints how many images the runs took over and how many finished ones they computed again.
Exit 1 on any difference, and on any finished image that was computed again.

  -h, --help  shows this

SEED=NUMBER decides the moments (printed). Uses the binaries of the last debug build, and builds them where they are
missing; BIN=DIR takes others. Images are drawn, weights are random:0; nothing is downloaded, nothing stays.
HELP
}

runs=20
case "${1-}" in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *[!0-9]* | 0) echo "kill_test.sh: expected a number of runs, found '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
  *) runs=$1 ;;
esac
cd "$(dirname "$0")/.."

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
if [[ (! -x $bin/extract || ! -x $bin/cache) && -z ${BIN-} ]]; then
  cargo build --locked --quiet -p cli
fi

work=$(mktemp -d)
child=
cleanup() {
  [[ -z $child ]] || kill -KILL "$child" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
RANDOM=${SEED:=$((RANDOM % 32768))}
images=60

# Plain-text PPMs need nothing but awk; two files that are none are part of it.
for class in cats dogs; do
  mkdir -p "$work/data/train/$class"
  for ((i = 0; i < images / 2 - 1; i++)); do
    awk -v seed="$i$class" -v width=$((16 + i)) -v height=$((44 - i)) 'BEGIN {
      srand(length(seed) * 1000 + seed); print "P3", width, height, 255
      for (n = width * height * 3; n > 0; n--) print int(256 * rand())
    }' >"$work/data/train/$class/$i.ppm"
  done
  echo 'no image' >"$work/data/train/$class/bad.png"
done

# Without the features folder and the batch size.
extract=("$bin/extract" --data "$work/data" --weights random:0 --offline --image-size 32 --layer block2_pool --threads 2 --quiet)
# finish FEATURES BATCH_SIZE. Two files are skipped: exit 3.
finish() {
  local code=0
  "${extract[@]}" --features "$1" --batch-size "$2" 2>"$work/extract.log" || code=$?
  [[ $code == 3 ]] || {
    tail -n 5 "$work/extract.log" >&2
    echo "kill_test.sh: expected exit 3 (two files are no images), found $code" >&2
    exit 1
  }
}
# A number of the manifest's "run".
of_run() { sed -n "s/^ *\"$2\": \([0-9]*\).*/\1/p" "$1/train.json"; }
# The manifest but for times.
lasting() { sed '/^  "run": {/,/^  }/d' "$1/train.json"; }
# Images that an unfinished run has finished; nothing where it had not begun.
kept() { { "$bin/cache" info --features "$1" 2>/dev/null || true; } | sed -n 's/.*unfinished, \([0-9]*\) of .*/\1/p'; }
micro() { echo $((${EPOCHREALTIME/[.,]/})); }
# pause MICROSECONDS
pause() { sleep "$(printf '%d.%06d' $(($1 / 1000000)) $(($1 % 1000000)))"; }
# A random number below $1, which may be large.
below() { echo $(((RANDOM * 32768 + RANDOM) % $1)); }

whole=$work/whole
begin=$(micro)
finish "$whole" 1
longest=$(($(micro) - begin))
echo "$runs runs of $images images, an undisturbed one takes $((longest / 1000)) ms; seed $SEED"

kills=0 late=0 taken=0 again=0 begun=0 complete=0 differences=0
for ((run = 1; run <= runs; run++)); do
  features=$work/features
  rm -rf "$features"
  before=0
  for ((n = 1 + RANDOM % 3; n > 0; n--)); do
    "${extract[@]}" --features "$features" --batch-size $((1 + RANDOM % 8)) 2>/dev/null &
    child=$!
    # One in four at any moment; the others from the moment on when there is something to lose.
    if ((RANDOM % 4 > 0)); then
      until [[ -e $features/train.journal || -e $features/train.json ]] || ! kill -0 "$child" 2>/dev/null; do
        sleep 0.002
      done
      pause "$(below $((longest / 2)))"
    else
      pause "$(below "$longest")"
    fi
    kill -KILL "$child" 2>/dev/null || true
    code=0
    wait "$child" 2>/dev/null || code=$?
    child=
    if ((code == 137)); then kills=$((kills + 1)); else late=$((late + 1)); fi
    # With the manifest written only the names are left to give: then it tells of the run that was killed.
    if [[ -e $features/train.json || -e $features/train.json.part ]]; then
      before=0
      if ((code == 137)); then complete=$((complete + 1)); fi
      break
    fi
    before=$(kept "$features")
    before=${before:-0}
    if ((before > 0)); then begun=$((begun + 1)); fi
  done
  finish "$features" $((1 + RANDOM % 8))
  reused=$(of_run "$features" rows_reused)
  taken=$((taken + reused))
  if ((reused < before)); then
    again=$((again + before - reused))
    echo "run $run: $before images were finished, $reused were taken over" >&2
  fi
  for end in _features.npy _labels.npy _index.csv; do
    if ! cmp "$whole/train$end" "$features/train$end" >&2; then differences=$((differences + 1)); fi
  done
  if ! diff <(lasting "$whole") <(lasting "$features") >&2; then differences=$((differences + 1)); fi
  if [[ $(find "$features" -type f | wc -l) != 5 ]]; then
    differences=$((differences + 1))
    echo "run $run: expected 5 files, found" "$features"/* >&2
  fi
done

cat <<RESULT
kills              $kills: $begun left finished images, $complete came when all were; $late more came too late
images taken over  $taken
finished images computed again  $again
differences        $differences
RESULT
((differences == 0 && again == 0))
