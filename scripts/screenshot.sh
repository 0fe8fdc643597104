#!/usr/bin/env bash
# Photographs a report: PREFIX-1280-light.png, PREFIX-1280-dark.png, PREFIX-400-light.png, PREFIX-400-dark.png.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/screenshot.sh REPORT.html OUT_PREFIX

Photographs the page (or an .svg) from top to bottom, 1280 and 400 pixels wide, light and dark, and says
whether anything sticks out sideways. Writes OUT_PREFIX-{1280,400}-{light,dark}.png.

Installs nothing. Needs
  chromium         apt-get install chromium        (another place: CHROMIUM=/path/to/chromium)
  node             apt-get install nodejs npm
  playwright-core  npm install playwright-core     (another place: NODE_PATH=/path/to/node_modules)
HELP
}

case "${1:-}" in
  -h | --help)
    usage
    exit 0
    ;;
esac
if [[ $# -ne 2 ]]; then
  usage >&2
  exit 2
fi
if [[ ! -f $1 ]]; then
  echo "screenshot.sh: no such file: $1" >&2
  exit 1
fi

chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)}
if [[ -z $chromium ]]; then
  echo "screenshot.sh: Chromium not found" >&2
  echo "hint: apt-get install chromium, or set CHROMIUM to its path" >&2
  exit 1
fi
if ! command -v node >/dev/null; then
  echo "screenshot.sh: node not found" >&2
  echo "hint: apt-get install nodejs npm" >&2
  exit 1
fi
export NODE_PATH=${NODE_PATH:-$PWD/node_modules}
if ! node -e 'require("playwright-core")' 2>/dev/null; then
  echo "screenshot.sh: playwright-core not found under NODE_PATH=$NODE_PATH" >&2
  echo "hint: npm install playwright-core, or set NODE_PATH to the node_modules folder that has it" >&2
  exit 1
fi

# A window cannot be made narrower than about 500 pixels, and a flag for the colour scheme does not exist:
# both need the emulation that the debugging protocol offers.
node - "$chromium" "$(realpath "$1")" "$2" <<'SCRIPT'
const { chromium } = require('playwright-core');
const { readFileSync } = require('fs');
const { pathToFileURL } = require('url');
const [executablePath, file, prefix] = process.argv.slice(2);
(async () => {
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  try {
    for (const width of [1280, 400]) {
      for (const colorScheme of ['light', 'dark']) {
        const context = await browser.newContext({
          viewport: { width, height: 800 }, colorScheme, deviceScaleFactor: width < 500 ? 2 : 1,
        });
        const page = await context.newPage();
        if (file.endsWith('.svg')) {
          // As a README shows it: a picture in a page, no wider than the page.
          const data = readFileSync(file).toString('base64');
          await page.setContent('<meta name="color-scheme" content="light dark">'
            + `<img alt="" style="max-width:100%" src="data:image/svg+xml;base64,${data}">`);
        } else {
          await page.goto(pathToFileURL(file).href);
        }
        const [scroll, ground] = await page.evaluate(() => {
          const root = document.documentElement;
          return [root.scrollWidth, getComputedStyle(document.body || root).backgroundColor];
        });
        const out = `${prefix}-${width}-${colorScheme}.png`;
        await page.screenshot({ path: out, fullPage: true });
        console.log(`${out}: ground ${ground}` + (scroll > width ? `, sticks out to ${scroll} px` : ''));
        await context.close();
      }
    }
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(`screenshot.sh: ${error.message}`);
  process.exit(1);
});
SCRIPT
