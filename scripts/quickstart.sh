#!/usr/bin/env bash
# From nothing to a trained classifier and its report: builds, gets the ImageNet weights of VGG16, extracts features
# once, trains a head on them.
#
#   scripts/quickstart.sh              on a sample: photographs of traffic lights, red or green
#   scripts/quickstart.sh DATA         on your own: DATA/{train,validation,test}/<class>/*.jpg
set -euo pipefail
case "${1-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
esac
if [ $# -gt 1 ]; then
  echo "error: expected one data folder, found $#: $*" >&2
  exit 2
fi

root=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -eq 1 ]; then
  data=$(cd "$1" && pwd)
  name=$(basename "$data")
else
  name=traffic-lights
  data=$root/data/$name
fi
cd "$root"

echo '== building'
cargo build --release --locked --quiet -p cli
if [ $# -eq 0 ]; then
  echo '== sample photographs'
  scripts/sample_data.sh "$data"
fi
start=$SECONDS
echo '== features'
# 3: done, but some files were skipped, and were named.
bin=${CARGO_TARGET_DIR:-target}/release
"$bin/extract" --data "$data" --features "features/$name" --update || [ $? -eq 3 ]
echo
echo '== classifier'
"$bin/fit-head" --data "$data" --features "features/$name" --head "models/$name" --class-weight balanced
echo
echo "done in $((SECONDS - start)) s after the build; the report is $root/models/$name/report.html"
echo "now try: $bin/predict --head models/$name IMAGE…"
