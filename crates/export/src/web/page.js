'use strict';

const config = JSON.parse(document.getElementById('config').textContent);
const statusLine = document.getElementById('status');
const results = document.getElementById('results');
const drop = document.getElementById('drop');
const choose = document.getElementById('choose');
// More bars than this are no help.
const MOST_BARS = 5;

function say(text, isBad) {
  statusLine.textContent = text;
  statusLine.classList.toggle('bad', Boolean(isBad));
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function load() {
  if (!config.embedded && location.protocol === 'file:') {
    throw new Error('this model is too large to be inside of the page. Run `python3 -m http.server` in this folder and open http://localhost:8000');
  }
  // One thread: more need headers that a folder of files does not have.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = bytesOf(window.runtimeWasm);
  const module = new Blob([window.runtimeModule], { type: 'text/javascript' });
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(module) };
  delete window.runtimeWasm;
  let model;
  if (config.embedded) {
    model = bytesOf(window.modelBytes);
    delete window.modelBytes;
  } else {
    const answer = await fetch('model.onnx');
    if (!answer.ok) throw new Error(`model.onnx: ${answer.status} ${answer.statusText}`);
    model = new Uint8Array(await answer.arrayBuffer());
  }
  return ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
}

// A JPEG without its Exif segments, by which browsers turn pictures whatever they are asked. The model was trained without that.
async function unturned(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return file;
  const kept = [bytes.subarray(0, 2)];
  let at = 2;
  // Segments up to the start of the picture's data.
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const end = at + 2 + bytes[at + 2] * 256 + bytes[at + 3];
    const isExif = bytes[at + 1] === 0xe1 && String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === 'Exif';
    if (!isExif) kept.push(bytes.subarray(at, end));
    at = end;
  }
  kept.push(bytes.subarray(at));
  return new Blob(kept, { type: 'image/jpeg' });
}

// The picture's own pixels, (height, width, 3): no colour profile, no rotation by metadata, as in training.
async function pixelsOf(file) {
  const bitmap = await createImageBitmap(await unturned(file), {
    colorSpaceConversion: 'none', premultiplyAlpha: 'none', imageOrientation: 'none',
  });
  const { width, height } = bitmap;
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return { rgb, width, height };
}

const loading = load();

// The probability of each class.
async function classify(file) {
  const session = await loading;
  const { rgb, width, height } = await pixelsOf(file);
  const pixels = resize(rgb, width, height, config.width, config.height, config.filter);
  const input = new ort.Tensor('uint8', pixels, [1, config.height, config.width, 3]);
  const { probabilities } = await session.run({ pixels: input });
  return Array.from(probabilities.data);
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function show(file) {
  const item = element('li');
  const picture = element('img');
  picture.alt = '';
  picture.src = URL.createObjectURL(file);
  const body = element('div');
  const title = element('h2', '', '…');
  body.append(title, element('p', 'file', file.name));
  item.append(picture, body);
  results.prepend(item);
  // The page shows the picture before it is busy.
  await new Promise((done) => { setTimeout(done, 0); });
  try {
    const probabilities = await classify(file);
    const order = probabilities.map((p, i) => [p, i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    title.textContent = config.classes[order[0][1]];
    for (const [p, i] of order.slice(0, MOST_BARS)) {
      const row = element('div', 'row');
      const track = element('span', 'track');
      const bar = element('i');
      bar.style.width = `${p * 100}%`;
      track.append(bar);
      row.append(element('span', '', config.classes[i]), track, element('span', '', `${(p * 100).toFixed(1)} %`));
      body.append(row);
    }
  } catch (error) {
    title.textContent = 'not a picture that this browser can read';
    title.className = 'bad';
    console.error(error);
  }
}

let queue = loading.then(
  () => say('Ready.'),
  (error) => {
    say(`The model could not be loaded: ${error.message}`, true);
    throw error;
  },
);
queue.catch(() => {});

function add(files) {
  for (const file of files) queue = queue.then(() => show(file));
  queue.catch(() => {});
}

choose.addEventListener('change', () => {
  add(choose.files);
  choose.value = '';
});
document.addEventListener('paste', (event) => add(event.clipboardData.files));
document.addEventListener('dragover', (event) => {
  event.preventDefault();
  drop.classList.add('over');
});
document.addEventListener('dragleave', () => drop.classList.remove('over'));
document.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  add(event.dataTransfer.files);
});
