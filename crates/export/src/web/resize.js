// Resizing as Pillow does it, bit by bit: the same algorithm as the program that trained the model.
'use strict';

const PRECISION_BITS = 22;

const FILTERS = {
  bilinear: { support: 1, at: (x) => Math.max(1 - Math.abs(x), 0) },
  bicubic: {
    support: 2,
    at: (value) => {
      const a = -0.5;
      const x = Math.abs(value);
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
      return 0;
    },
  },
  lanczos: {
    support: 3,
    at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0),
  },
};

function sinc(value) {
  if (value === 0) return 1;
  const x = value * Math.PI;
  return Math.sin(x) / x;
}

// For one axis: which pixels make each new one, and their weights in fixed point.
function taps(from, to, filter) {
  const scale = from / to;
  const filterScale = Math.max(scale, 1);
  const support = filter.support * filterScale;
  return Array.from({ length: to }, (_, out) => {
    const centre = (out + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), from);
    const exact = [];
    for (let x = first; x < end; x += 1) exact.push(filter.at((x - centre + 0.5) * (1 / filterScale)));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    const weights = exact.map((weight) => {
      const scaled = (sum === 0 ? weight : weight / sum) * 2 ** PRECISION_BITS;
      return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
    return { first, weights };
  });
}

// `stride` is from one pixel to the next along the axis; `lines` are the starts of all lines in source and result.
function pass(data, out, axis, lines, stride, outStride) {
  for (const [line, outLine] of lines) {
    axis.forEach(({ first, weights }, index) => {
      for (let channel = 0; channel < 3; channel += 1) {
        // Whole numbers below 2^53: no rounding.
        let sum = 2 ** (PRECISION_BITS - 1);
        let at = line + first * stride + channel;
        for (const weight of weights) {
          sum += weight * data[at];
          at += stride;
        }
        const level = Math.floor(sum / 2 ** PRECISION_BITS);
        out[outLine + index * outStride + channel] = Math.min(Math.max(level, 0), 255);
      }
    });
  }
}

function horizontal(data, width, height, to, filter) {
  const out = new Uint8Array(to * height * 3);
  const lines = Array.from({ length: height }, (_, y) => [y * width * 3, y * to * 3]);
  pass(data, out, taps(width, to, filter), lines, 3, 3);
  return out;
}

function vertical(data, width, height, to, filter) {
  const out = new Uint8Array(width * to * 3);
  const lines = Array.from({ length: width }, (_, x) => [x * 3, x * 3]);
  pass(data, out, taps(height, to, filter), lines, width * 3, width * 3);
  return out;
}

// The pixel under each new pixel's centre. The step is added up, as in Pillow.
function centres(from, to) {
  const step = from / to;
  let centre = step * 0.5;
  return Array.from({ length: to }, () => {
    const index = Math.min(Math.trunc(centre), from - 1);
    centre += step;
    return index;
  });
}

function nearest(data, width, height, toWidth, toHeight) {
  const out = new Uint8Array(toWidth * toHeight * 3);
  const columns = centres(width, toWidth);
  let at = 0;
  for (const row of centres(height, toHeight)) {
    for (const column of columns) {
      const from = (row * width + column) * 3;
      out.set(data.subarray(from, from + 3), at);
      at += 3;
    }
  }
  return out;
}

// tf.image.resize without antialiasing, in f32, then rounded to the nearest level.
function tfBilinear(data, width, height, toWidth, toHeight) {
  const f = Math.fround;
  const positions = (from, to) => {
    const scale = f(f(from) / f(to));
    return Array.from({ length: to }, (_, out) => {
      const position = f(f(f(out + 0.5) * scale) - 0.5);
      const lower = Math.floor(position);
      const clamp = (x) => Math.min(Math.max(x, 0), from - 1);
      return [clamp(lower), clamp(Math.ceil(position)), f(position - lower)];
    });
  };
  const between = (a, b, fraction) => f(a + f(f(b - a) * fraction));
  const out = new Uint8Array(toWidth * toHeight * 3);
  const columns = positions(width, toWidth);
  let at = 0;
  for (const [above, below, down] of positions(height, toHeight)) {
    for (const [left, right, along] of columns) {
      for (let c = 0; c < 3; c += 1) {
        const value = (row) => between(data[(row * width + left) * 3 + c], data[(row * width + right) * 3 + c], along);
        const level = between(value(above), value(below), down);
        const even = Math.floor(level);
        const rest = level - even;
        out[at] = rest > 0.5 || (rest === 0.5 && even % 2 === 1) ? even + 1 : even;
        at += 1;
      }
    }
  }
  return out;
}

// RGB of a picture at another size.
function resize(data, width, height, toWidth, toHeight, name) {
  if (width === toWidth && height === toHeight) return data;
  if (name === 'nearest') return nearest(data, width, height, toWidth, toHeight);
  if (name === 'tf-bilinear') return tfBilinear(data, width, height, toWidth, toHeight);
  const filter = FILTERS[name];
  // Pillow does the pass first that leaves less to do: each pass rounds, so the order counts.
  const verticalFirst = height > toHeight && height - toHeight > 2 * (width - toWidth);
  let pixels = data;
  if (verticalFirst) pixels = vertical(pixels, width, height, toHeight, filter);
  const rows = verticalFirst ? toHeight : height;
  if (width !== toWidth) pixels = horizontal(pixels, width, rows, toWidth, filter);
  if (!verticalFirst && height !== toHeight) pixels = vertical(pixels, toWidth, height, toHeight, filter);
  return pixels;
}
