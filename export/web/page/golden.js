// Golden answers: `tinysight.integrity.golden` in JavaScript. The inputs are noise from SHAKE-256, so
// that every device makes the same, under the rectangles in bundle.json; the workstation's answers to
// them are there too.

const SEED = new TextEncoder().encode("tinysight golden 1");
const RATE = 136; // bytes a permutation gives, SHAKE-256 (FIPS 202, table 3 and section 6.2)

const RECTANGLE_BYTES = 7;

/**
 * The first `count` inputs of a model.
 * @param {{height: number, width: number, golden_rectangles?: string[]}} bundle
 * @returns {Uint8Array[]} each height x width x 3
 */
export function goldenInputs(bundle, count) {
  const images = noise(bundle.height, bundle.width, count);
  images.forEach((image, i) => paint(image, bundle, bundle.golden_rectangles?.[i] ?? ""));
  return images;
}

/** Paints rectangles, seven bytes each in hexadecimal: two corners in 256ths of the sides, a color. */
function paint(image, { height, width }, rectangles) {
  const bytes = (rectangles.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  for (let at = 0; at < bytes.length; at += RECTANGLE_BYTES) {
    const [x0, y0, x1, y1, ...color] = bytes.slice(at, at + RECTANGLE_BYTES);
    const [left, right] = [x0, x1].map((x) => (x * width) >> 8).sort((a, b) => a - b);
    const [top, bottom] = [y0, y1].map((y) => (y * height) >> 8).sort((a, b) => a - b);
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) image.set(color, (y * width + x) * 3);
    }
  }
}

/** Noise whose grain halves from one image to the next. */
function noise(height, width, count) {
  const size = height * width * 3;
  const bytes = shake256(SEED, count * size);
  return Array.from({ length: count }, (_, index) => {
    const grain = Math.max(1, Math.max(height, width) >> (index % 8));
    const image = new Uint8Array(size);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const from = index * size + ((y - (y % grain)) * width + (x - (x % grain))) * 3;
        image.set(bytes.subarray(from, from + 3), (y * width + x) * 3);
      }
    }
    return image;
  });
}

/**
 * This browser's logits against those that were recorded.
 * @param {number[][]} actual
 * @param {{logits: number[][], tolerance: number}} golden
 * @returns {{inputs: number, sameTop1: number, maxRelativeError: number, tolerance: number,
 *            ok: boolean}} the error is the largest difference over the recorded logits' spread
 */
export function compareGolden(actual, golden) {
  let difference = 0;
  let sameTop1 = 0;
  golden.logits.forEach((expected, i) => {
    expected.forEach((value, k) => {
      const distance = Math.abs(value - actual[i][k]);
      difference = distance <= difference ? difference : distance; // NaN too is a difference
    });
    sameTop1 += argmax(expected) === argmax(actual[i]) ? 1 : 0;
  });
  const all = golden.logits.flat();
  const spread = Math.max(all.reduce((a, b) => Math.max(a, b)) - all.reduce((a, b) => Math.min(a, b)), 1e-12);
  const maxRelativeError = Number.isNaN(difference) ? Infinity : difference / spread;
  const ok = maxRelativeError <= golden.tolerance;
  return { inputs: golden.logits.length, sameTop1, maxRelativeError, tolerance: golden.tolerance, ok };
}

export const argmax = (values) => values.indexOf(Math.max(...values));

/** SHAKE-256 of a message shorter than one block, `length` bytes of it. */
function shake256(message, length) {
  // 25 lanes of 64 bits, each as two 32-bit halves, the low one first: JavaScript's integers.
  const state = new Int32Array(50);
  const bytes = new Uint8Array(state.buffer);
  bytes.set(message);
  bytes[message.length] ^= 0x1f; // the suffix 1111 of SHAKE, and the first bit of the padding
  bytes[RATE - 1] ^= 0x80; // its last bit
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += RATE) {
    keccakF1600(state);
    out.set(bytes.subarray(0, Math.min(RATE, length - at)), at);
  }
  return out;
}

// FIPS 202, sections 3.2.2 to 3.2.4: the order in which rho and pi visit the lanes, and by how many
// bits each is turned; both follow from the standard's own recurrence.
const [LANES, TURNS] = rhoAndPi();
const ROUND_CONSTANTS = roundConstants();

function rhoAndPi() {
  const lanes = [];
  const turns = [];
  for (let t = 0, x = 1, y = 0; t < 24; t++) {
    turns.push((((t + 1) * (t + 2)) / 2) % 64);
    [x, y] = [y, (2 * x + 3 * y) % 5];
    lanes.push(x + 5 * y);
  }
  return [lanes, turns];
}

// Section 3.2.5: bits of a shift register, each at place 2^j - 1 of the round's lane.
function roundConstants() {
  let register = 1;
  return Array.from({ length: 24 }, () => {
    const halves = [0, 0];
    for (let j = 0; j < 7; j++) {
      const place = (1 << j) - 1;
      if (register & 1) halves[place >> 5] |= 1 << (place & 31);
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
    return halves;
  });
}

function keccakF1600(state) {
  const column = new Int32Array(10);
  for (const [constantLow, constantHigh] of ROUND_CONSTANTS) {
    theta(state, column);
    rhoPi(state);
    chi(state, column);
    state[0] ^= constantLow;
    state[1] ^= constantHigh;
  }
}

function theta(state, column) {
  for (let i = 0; i < 10; i++) {
    column[i] = state[i] ^ state[i + 10] ^ state[i + 20] ^ state[i + 30] ^ state[i + 40];
  }
  for (let x = 0; x < 5; x++) {
    const left = ((x + 4) % 5) * 2;
    const right = ((x + 1) % 5) * 2;
    const low = column[left] ^ ((column[right] << 1) | (column[right + 1] >>> 31));
    const high = column[left + 1] ^ ((column[right + 1] << 1) | (column[right] >>> 31));
    for (let at = x * 2; at < 50; at += 10) {
      state[at] ^= low;
      state[at + 1] ^= high;
    }
  }
}

function rhoPi(state) {
  let low = state[2];
  let high = state[3];
  for (let t = 0; t < 24; t++) {
    const at = LANES[t] * 2;
    const turn = TURNS[t] % 32;
    if (TURNS[t] >= 32) [low, high] = [high, low];
    // A shift by 32 is one by 0 in JavaScript.
    const turnedLow = turn ? (low << turn) | (high >>> (32 - turn)) : low;
    const turnedHigh = turn ? (high << turn) | (low >>> (32 - turn)) : high;
    low = state[at];
    high = state[at + 1];
    state[at] = turnedLow;
    state[at + 1] = turnedHigh;
  }
}

function chi(state, row) {
  for (let y = 0; y < 50; y += 10) {
    row.set(state.subarray(y, y + 10));
    for (let i = 0; i < 10; i++) state[y + i] ^= ~row[(i + 2) % 10] & row[(i + 4) % 10];
  }
}
