#!/usr/bin/env bash
# The page that `feature-cache export --format web` writes, in headless Chromium, against predict on ten photographs.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/test_web.sh [SCREENSHOT_PREFIX]

Fits a head on VGG16's features of 80 photographs of cats and dogs, exports the page, opens it as a file, gives it ten JPEG
photographs and the same ones as PNG, and prints for each the probability that predict and the page give. From a PNG both must see
the same pixels, so they must agree; browsers decode JPEG by a level differently, and what that does is printed. Then a model that
is too large to be inside of the page: opened as a file it must say how to serve it, and served it must work.

With SCREENSHOT_PREFIX also PREFIX-{1280,400}-{light,dark}.png.

Needs photographs in ../shared/data/cats-dogs (SHARED=DIR: elsewhere; without them it says so and skips), node and npm,
python3 with Pillow (PYTHON), and
  chromium         apt-get install chromium             (another place: CHROMIUM=/path/to/chromium)
  playwright-core  npm install playwright-core          (another place: NODE_PATH=/path/to/node_modules)
  onnxruntime-web  npm pack onnxruntime-web@1.30.0      (RUNTIME=DIR: unpacked; else it is fetched)
Uses the binaries of the last debug build; BIN=DIR takes others.
HELP
}

case "${1-}" in
  -h | --help) usage; exit 0 ;;
  -*) echo "test_web.sh: unknown argument '$1'" >&2; echo "hint: see --help" >&2; exit 2 ;;
esac
prefix=${1-}
cd "$(dirname "$0")/.."

photos=${SHARED:-../shared}/data/cats-dogs
if [[ ! -d $photos/train ]]; then
  echo "skipped: no photographs in $photos"
  exit 0
fi
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
[[ -n $chromium ]] || { echo "test_web.sh: Chromium not found" >&2; echo "hint: apt-get install chromium, or set CHROMIUM" >&2; exit 1; }
export NODE_PATH=${NODE_PATH:-$PWD/node_modules}
node -e 'require("playwright-core")' 2>/dev/null \
  || { echo "test_web.sh: playwright-core not found under NODE_PATH=$NODE_PATH" >&2; echo "hint: npm install playwright-core" >&2; exit 1; }

bin=${BIN:-${CARGO_TARGET_DIR:-target}/debug}
work=$(mktemp -d)
server=
trap 'rm -rf "$work"; [[ -z $server ]] || kill "$server"' EXIT
runtime=${RUNTIME-}
if [[ -z $runtime ]]; then
  (cd "$work" && npm pack --silent onnxruntime-web@1.30.0 >/dev/null && tar -xzf onnxruntime-web-1.30.0.tgz)
  runtime=$work/package
fi

for class in cats dogs; do
  for split in train:40 validation:10; do
    mkdir -p "$work/data/${split%:*}/$class"
    find "$photos/${split%:*}/$class" -type f | LC_ALL=C sort | sed -n "1,${split#*:}p" | xargs -I{} cp {} "$work/data/${split%:*}/$class"
  done
  mkdir -p "$work/pictures"
  find "$photos/test/$class" -type f | LC_ALL=C sort | sed -n 1,5p | xargs -I{} cp {} "$work/pictures"
done
# The same pixels without loss.
"${PYTHON:-python3}" - "$work/pictures" "$work/turned.jpg" <<'SCRIPT'
import sys
from pathlib import Path
from PIL import Image
for path in list(Path(sys.argv[1]).iterdir()):
    Image.open(path).convert("RGB").save(path.with_suffix(".png"))
# Of the first one, the same file with a note that it is to be turned, which training and predict ignore.
first = min(Path(sys.argv[1]).glob("*.jpg"))
exif = Image.Exif()
exif[0x112] = 6
exif = exif.tobytes()
jpeg = first.read_bytes()
segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
Path(sys.argv[2]).write_bytes(jpeg[:2] + segment + jpeg[2:])
SCRIPT

"$bin/extract" --data "$work/data" --features "$work/features" --quiet ${EXTRACT_FLAGS-}
"$bin/fit-head" --features "$work/features" --head "$work/head" --epochs 20 --lr 1e-4 --quiet
"$bin/feature-cache" export --head "$work/head" --format web --runtime "$runtime" --output "$work/page"
"$bin/predict" --head "$work/head" --json --top 9 "$work/pictures" >"$work/expected.json"

# Too large to be inside: 217 MB.
"$bin/extract" --data "$work/data" --features "$work/large-features" --quiet --backbone inception-resnet-v2 \
  --weights random:1 --pooling avg --image-size 75 2>/dev/null
"$bin/fit-head" --features "$work/large-features" --head "$work/large-head" --epochs 1 --quiet
"$bin/feature-cache" export --head "$work/large-head" --format web --runtime "$runtime" --output "$work/large" 2>/dev/null
"$bin/predict" --head "$work/large-head" --json --top 9 "$work/pictures" >"$work/large.json" 2>/dev/null

port=${PORT:-8123}
"${PYTHON:-python3}" -m http.server --bind 127.0.0.1 --directory "$work/large" "$port" >/dev/null 2>&1 &
server=$!
node tests/exports/check_page.js "$chromium" "$work" "$port" "$prefix"
