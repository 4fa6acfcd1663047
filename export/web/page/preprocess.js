// From a picture to the uint8 pixels that a model takes: `tinysight.preprocess` in JavaScript.
//
// The arithmetic is Pillow's, to the bit: Image.resize with a box and reducing_gap=3, that is
// libImaging's Reduce.c (whole-number averages) and Resample.c (antialiased filters in fixed point,
// 22 bits, rounded to 8 bits between the horizontal and the vertical pass). A browser's own
// drawImage would shrink by another filter, and the model would see other pixels than it learned.

// What Pillow gives up precision for in C, given up here too, so that the bits agree.
const PRECISION_BITS = 22;
const REDUCING_GAP = 3;
const STRIP_BYTES = 4 << 20; // of RGBA at a time: a phone's photo is 50 MB, and iOS limits a canvas

const sinc = (x) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

// Each filter with its support, in pixels of the result; null is nearest neighbour.
const FILTERS = {
  nearest: null,
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight(x) {
      const a = -0.5;
      const d = Math.abs(x);
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    },
  },
  lanczos: { support: 3, weight: (x) => (-3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/**
 * The pixels of a picture as a model takes them: cropped about the centre, then resized.
 * @param {{width: number, height: number,
 *          read: (x: number, y: number, width: number, height: number) => Uint8ClampedArray}} source
 *   `read` gives RGBA bytes, row by row; alpha is not looked at.
 * @param {number} height of the model's input, in pixels
 * @param {number} width of the model's input, in pixels
 * @param {"nearest" | "bilinear" | "bicubic" | "lanczos"} resample
 * @returns {Uint8Array} height x width x 3, RGB
 */
export function toPixels(source, height, width, resample) {
  if (source.width === width && source.height === height) {
    return withoutAlpha(wholeImage(source));
  }
  let box = cropBox(source, height, width);
  const filter = FILTERS[resample];
  if (filter === null) return nearest(wholeImage(source), box, height, width);
  const factorX = Math.trunc((box[2] - box[0]) / width / REDUCING_GAP) || 1;
  const factorY = Math.trunc((box[3] - box[1]) / height / REDUCING_GAP) || 1;
  let image;
  if (factorX > 1 || factorY > 1) {
    const safe = safeBox(source, box, height, width, filter.support);
    image = reduce(source, safe, factorX, factorY);
    box = box.map((side, i) => (side - safe[i % 2]) / (i % 2 ? factorY : factorX));
  } else {
    image = withoutAlphaImage(wholeImage(source));
  }
  return resize(image, box.map(Math.fround), height, width, filter);
}

/** Left, top, right, bottom of the largest part, about the centre, of the model's shape. */
export function cropBox(source, height, width) {
  const side = Math.min(source.width / width, source.height / height);
  const left = Math.max(0, (source.width - side * width) / 2);
  const top = Math.max(0, (source.height - side * height) / 2);
  return [left, top, source.width - left, source.height - top];
}

function wholeImage(source) {
  const { width, height } = source;
  return { width, height, data: source.read(0, 0, width, height) };
}

function withoutAlpha({ data }) {
  const rgb = new Uint8Array((data.length / 4) * 3);
  for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
    rgb[to] = data[from];
    rgb[to + 1] = data[from + 1];
    rgb[to + 2] = data[from + 2];
  }
  return rgb;
}

const withoutAlphaImage = (image) => ({ ...image, data: withoutAlpha(image) });

// libImaging/Geometry.c, ImagingScaleAffine: the position is summed up, not multiplied.
function nearest({ data, width: stride }, box, height, width) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const positions = (first, last, count) => {
    const step = Math.fround(last - first) / count;
    let position = first + step * 0.5;
    return Array.from({ length: count }, () => {
      const index = Math.trunc(position);
      position += step;
      return index;
    });
  };
  const columns = positions(left, right, width);
  const rgb = new Uint8Array(height * width * 3);
  let to = 0;
  for (const y of positions(top, bottom, height)) {
    for (const x of columns) {
      const from = (y * stride + x) * 4;
      for (let channel = 0; channel < 3; channel++) rgb[to++] = data[from + channel];
    }
  }
  return rgb;
}

// PIL.Image.Image._get_safe_box: the box with the pixels about it that the filter looks at.
function safeBox(source, box, height, width, support) {
  const reachX = ((support - 0.5) * (box[2] - box[0])) / width;
  const reachY = ((support - 0.5) * (box[3] - box[1])) / height;
  return [
    Math.max(0, Math.trunc(box[0] - reachX)),
    Math.max(0, Math.trunc(box[1] - reachY)),
    Math.min(source.width, Math.ceil(box[2] + reachX)),
    Math.min(source.height, Math.ceil(box[3] + reachY)),
  ];
}

// libImaging/Reduce.c: averages of factorX x factorY pixels; smaller ones at the right and bottom.
function reduce(source, [left, top, right, bottom], factorX, factorY) {
  const width = Math.ceil((right - left) / factorX);
  const height = Math.ceil((bottom - top) / factorY);
  const data = new Uint8Array(width * height * 3);
  const stripRows = Math.max(1, Math.floor(STRIP_BYTES / 4 / (right - left) / factorY));
  for (let first = 0; first < height; first += stripRows) {
    const y = top + first * factorY;
    const rows = Math.min(stripRows * factorY, bottom - y);
    const strip = { data: source.read(left, y, right - left, rows), width: right - left, rows };
    reduceStrip(strip, factorX, factorY, data.subarray(first * width * 3), width);
  }
  return { width, height, data };
}

function reduceStrip({ data, width, rows }, factorX, factorY, out, outWidth) {
  for (let y = 0, row = 0; y < rows; y += factorY, row++) {
    const yEnd = Math.min(y + factorY, rows);
    for (let column = 0; column < outWidth; column++) {
      const x = column * factorX;
      const xEnd = Math.min(x + factorX, width);
      const count = (xEnd - x) * (yEnd - y);
      let red = count >> 1;
      let green = red;
      let blue = red;
      for (let yy = y; yy < yEnd; yy++) {
        const end = (yy * width + xEnd) * 4;
        for (let at = (yy * width + x) * 4; at < end; at += 4) {
          red += data[at];
          green += data[at + 1];
          blue += data[at + 2];
        }
      }
      // Pillow divides by multiplying with 2^32 / (256 count), which it keeps as a float.
      const multiplier = Math.trunc(Math.fround(2 ** 32 / Math.fround(256 * count)));
      const to = (row * outWidth + column) * 3;
      out[to] = Math.imul(red, multiplier) >>> 24;
      out[to + 1] = Math.imul(green, multiplier) >>> 24;
      out[to + 2] = Math.imul(blue, multiplier) >>> 24;
    }
  }
}

// libImaging/Resample.c, ImagingResample: two passes, each rounded to 8 bits. Their order is that
// of Pillow 13, which shrinks a tall picture's height first; older ones always begin with the width.
function resize(image, [left, top, right, bottom], height, width, filter) {
  const passes = [];
  if (width !== image.width || left !== 0 || right !== width) {
    passes.push((it) => resizeWidth(it, kernelsOf(it.width, left, right, width, filter)));
  }
  if (height !== image.height || top !== 0 || bottom !== height) {
    passes.push((it) => resizeHeight(it, kernelsOf(it.height, top, bottom, height, filter)));
  }
  const shrunkRows = image.height - height;
  if (shrunkRows > 0 && shrunkRows > (image.width - width) * 2) passes.reverse();
  return passes.reduce((it, pass) => pass(it), image).data;
}

// Resample.c, precompute_coeffs and normalize_coeffs_8bpc: for each pixel of the result where its
// source pixels begin, and their weights in fixed point.
function kernelsOf(inSize, in0, in1, outSize, filter) {
  const scale = Math.fround(in1 - in0) / outSize;
  const filterScale = Math.max(1, scale);
  const support = filter.support * filterScale;
  return Array.from({ length: outSize }, (_, i) => {
    const center = in0 + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(inSize, Math.trunc(center + support + 0.5));
    const weights = [];
    let sum = 0;
    for (let at = first; at < end; at++) {
      const weight = filter.weight((at - center + 0.5) * (1 / filterScale));
      weights.push(weight);
      sum += weight;
    }
    const fixed = Int32Array.from(weights, (weight) => {
      const share = sum === 0 ? weight : weight / sum;
      return Math.trunc(share * (1 << PRECISION_BITS) + (share < 0 ? -0.5 : 0.5));
    });
    return { first, weights: fixed };
  });
}

const rounded = (sum) => Math.min(255, Math.max(0, sum >> PRECISION_BITS));

function resizeWidth({ data, width, height }, kernels) {
  const out = new Uint8Array(height * kernels.length * 3);
  let to = 0;
  for (let row = 0; row < height; row++) {
    for (const { first, weights } of kernels) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 1 << (PRECISION_BITS - 1);
        let from = (row * width + first) * 3 + channel;
        for (let i = 0; i < weights.length; i++, from += 3) sum += data[from] * weights[i];
        out[to++] = rounded(sum);
      }
    }
  }
  return { data: out, width: kernels.length, height };
}

function resizeHeight({ data, width }, kernels) {
  const stride = width * 3;
  const out = new Uint8Array(kernels.length * stride);
  let to = 0;
  for (const { first, weights } of kernels) {
    for (let column = 0; column < stride; column++) {
      let sum = 1 << (PRECISION_BITS - 1);
      let from = first * stride + column;
      for (let i = 0; i < weights.length; i++, from += stride) sum += data[from] * weights[i];
      out[to++] = rounded(sum);
    }
  }
  return { data: out, width, height: kernels.length };
}
