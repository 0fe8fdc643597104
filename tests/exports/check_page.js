// The exported page in Chromium, against predict; scripts/test_web.sh prepares what it needs.
'use strict';

const { chromium } = require('playwright-core');
const { readFileSync } = require('fs');
const { basename, extname } = require('path');
const { pathToFileURL } = require('url');

// f32 sums in another order, of the same pixels.
const SAME_PIXELS = 1e-6;
// The same where features come from random weights: they are large, and their last digit is magnified.
const RANDOM_WEIGHTS = 1e-5;
// One level in some of the pixels.
const OTHER_DECODER = 0.05;

const [executablePath, work, port, prefix] = process.argv.slice(2);

function expected(file) {
  const all = JSON.parse(readFileSync(`${work}/${file}`, 'utf8'));
  return all.map(({ file: path, predictions }) => [path, Object.fromEntries(predictions.map((p) => [p.class, p.probability]))]);
}

// Every request that would leave the page's own folder.
function watch(page, outside) {
  page.on('request', (request) => {
    const url = request.url();
    const inside = url.startsWith('file:') || url.startsWith('blob:') || url.startsWith('data:') || url.startsWith(`http://127.0.0.1:${port}/`);
    if (!inside) outside.push(url);
  });
}

async function probabilities(page, path) {
  const bytes = readFileSync(path).toString('base64');
  return page.evaluate(async ([base64, name]) => {
    const file = new File([bytesOf(base64)], name);
    const values = await classify(file);
    return Object.fromEntries(values.map((p, i) => [config.classes[i], p]));
  }, [bytes, basename(path)]);
}

async function compare(page, all, say) {
  const worst = {};
  for (const [path, wanted] of all) {
    const found = await probabilities(page, path);
    const difference = Math.max(...Object.keys(wanted).map((c) => Math.abs(wanted[c] - found[c])));
    const kind = extname(path);
    worst[kind] = Math.max(worst[kind] ?? 0, difference);
    const last = Object.keys(found).pop();
    if (say) console.log(`${basename(path).padEnd(24)} ${last} ${wanted[last].toFixed(6)}  ${found[last].toFixed(6)}  ${difference.toExponential(1)}`);
  }
  return worst;
}

(async () => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  const failures = [];
  const outside = [];
  try {
    console.log(`Chromium ${browser.version()}`);
    const page = await browser.newPage();
    watch(page, outside);
    page.on('console', (message) => message.type() === 'error' && console.log(`page: ${message.text()}`));
    page.on('pageerror', (error) => console.log(`page: ${error.message}`));
    let started = Date.now();
    await page.goto(pathToFileURL(`${work}/page/index.html`).href);
    await page.waitForFunction(() => !statusLine.textContent.startsWith('Loading'), null, { timeout: 300000 });
    console.log(`opened as a file: ${await page.textContent('#status')} ${((Date.now() - started) / 1000).toFixed(1)} s`);
    const all = expected('expected.json');
    console.log('picture, probability by predict and by the page, largest difference');
    started = Date.now();
    const worst = await compare(page, all, true);
    console.log(`${((Date.now() - started) / all.length / 1000).toFixed(2)} s a picture`);
    for (const [kind, difference] of Object.entries(worst)) console.log(`worst of ${kind}: ${difference.toExponential(1)}`);
    if (!(worst['.png'] <= SAME_PIXELS)) failures.push(`PNG: ${worst['.png']}`);
    const jpeg = Math.max(...Object.entries(worst).filter(([kind]) => kind !== '.png').map(([, difference]) => difference));
    if (!(jpeg <= OTHER_DECODER)) failures.push(`JPEG: ${jpeg}`);

    // A note in the file that it is to be turned is ignored, as predict does.
    const [[plain]] = all.filter(([path]) => path.endsWith('.jpg'));
    const both = [await probabilities(page, plain), await probabilities(page, `${work}/turned.jpg`)];
    if (JSON.stringify(both[0]) !== JSON.stringify(both[1])) failures.push(`turned by its metadata: ${JSON.stringify(both)}`);

    // As people do it: choose files, look at the list.
    const chosen = all.slice(0, 4).map(([path]) => path);
    await page.setInputFiles('#choose', chosen);
    await page.waitForFunction((n) => document.querySelectorAll('#results .row').length >= 2 * n, chosen.length, { timeout: 300000 });
    const shown = await page.$$eval('#results li', (items) => items.map((item) => [item.querySelector('.file').textContent, item.querySelector('h2').textContent]));
    for (const [path, wanted] of all.slice(0, 4)) {
      const best = Object.entries(wanted).sort((a, b) => b[1] - a[1])[0][0];
      if (!shown.some(([file, title]) => file === basename(path) && title === best)) failures.push(`${path}: expected ${best} on the page, found ${JSON.stringify(shown)}`);
    }
    await page.setInputFiles('#choose', { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') });
    await page.waitForSelector('h2.bad', { timeout: 60000 });
    // The browser refuses to send anything anywhere.
    const sent = await page.evaluate(() => fetch(`http://127.0.0.1:1/`).then(() => 'sent', () => 'refused'));
    const image = await page.evaluate((to) => new Promise((done) => {
      const picture = new Image();
      picture.onload = () => done('loaded');
      picture.onerror = () => done('refused');
      picture.src = to;
    }), `http://127.0.0.1:${port}/picture.png`);
    if (sent !== 'refused' || image !== 'refused') failures.push(`a request out: ${sent}, ${image}`);
    for (const width of [1280, 400]) {
      for (const colorScheme of ['light', 'dark']) {
        await page.setViewportSize({ width, height: 800 });
        await page.emulateMedia({ colorScheme });
        const scroll = await page.evaluate(() => document.documentElement.scrollWidth);
        if (scroll > width) failures.push(`${width} px: sticks out to ${scroll}`);
        if (prefix) await page.screenshot({ path: `${prefix}-${width}-${colorScheme}.png`, fullPage: true });
      }
    }
    await page.close();

    const large = await browser.newPage();
    watch(large, outside);
    await large.goto(pathToFileURL(`${work}/large/index.html`).href);
    await large.waitForFunction(() => !statusLine.textContent.startsWith('Loading'), null, { timeout: 60000 });
    const told = await large.textContent('#status');
    console.log(`too large, as a file: ${told}`);
    if (!told.includes('python3 -m http.server')) failures.push(`as a file: ${told}`);
    await large.goto(`http://127.0.0.1:${port}/index.html`);
    await large.waitForFunction(() => !statusLine.textContent.startsWith('Loading'), null, { timeout: 300000 });
    console.log(`too large, served: ${await large.textContent('#status')}`);
    const served = await compare(large, expected('large.json').filter(([path]) => path.endsWith('.png')).slice(0, 3), false);
    console.log(`worst of the served model: ${served['.png']?.toExponential(1)}`);
    if (!(served['.png'] <= RANDOM_WEIGHTS)) failures.push(`served: ${served['.png']}`);
  } finally {
    await browser.close();
  }
  // Those that the page itself refused never left; Chromium tells of them all the same.
  const left = outside.filter((url) => !url.startsWith('http://127.0.0.1:1/'));
  if (left.length) failures.push(`requests to ${left.join(', ')}`);
  if (failures.length) throw new Error(failures.join('\n'));
})().catch((error) => {
  console.error(`test_web.sh: ${error.message}`);
  process.exit(1);
});
