// The model in this browser: onnxruntime-web, one thread of WebAssembly.

import * as ort from "./onnxruntime-web/ort.wasm.bundle.min.js";

const GZIP_MAGIC = 0x1f;
const DISCARDED_CALLS = 100; // the first ones run before the browser has optimized the code
const SAMPLES = 200;
const CLOCK_STEPS = 20; // a sample lasts at least so many steps of the browser's coarse clock

/**
 * Fetches, checks and opens a bundle's default artifact.
 * @param {(done: number, total: number) => void} progress in bytes
 * @returns {Promise<Classifier>}
 * @throws {Error} with a sentence for people
 */
export async function loadClassifier(site, progress) {
  const bundle = await fetchJson(`${site.bundle}/bundle.json`);
  const artifact = bundle.artifacts.find((it) => it.format === "onnx" && it.recipe === bundle.default);
  const runtime = site.onnxruntime_web;
  const total = artifact.bytes + runtime.bytes;
  const arrived = { model: 0, runtime: 0 };
  const count = (part) => (bytes) => {
    arrived[part] = bytes;
    progress(Math.min(total, arrived.model + arrived.runtime), total);
  };
  const [model, wasm] = await Promise.all([
    fetchBytes(`${site.bundle}/${artifact.file}`, count("model")),
    fetchBytes(runtime.wasm, count("runtime")).then(unzipped),
  ]);
  const checked = await isAsRecorded(model, artifact);
  ort.env.wasm.numThreads = 1; // a small network answers soonest with one
  ort.env.wasm.wasmBinary = wasm;
  const session = await ort.InferenceSession.create(model, { graphOptimizationLevel: "all" });
  return new Classifier(bundle, artifact, session, checked);
}

export class Classifier {
  /** @param {boolean | null} checked whether its SHA-256 was found right; null: not looked at */
  constructor(bundle, artifact, session, checked) {
    this.bundle = bundle;
    this.artifact = artifact;
    this.checked = checked;
    this.session = session;
    this.shape = [1, bundle.height, bundle.width, 3];
    this.running = Promise.resolve();
  }

  /** @returns {Promise<number[]>} the logits of uint8 pixels, height x width x 3 */
  logits(pixels) {
    // One call at a time, whoever asks: the session is not for several at once.
    this.running = this.running.catch(() => {}).then(() => this.run(pixels));
    return this.running;
  }

  async run(pixels) {
    const feeds = { [this.session.inputNames[0]]: new ort.Tensor("uint8", pixels, this.shape) };
    const results = await this.session.run(feeds);
    return Array.from(results[this.session.outputNames[0]].data);
  }

  /** The softmax of the logits over the bundle's temperature. */
  probabilities(logits) {
    const energyScore = this.energyScore(logits);
    return logits.map((value) => Math.exp(value / this.bundle.temperature - energyScore));
  }

  /** The log sum exp of the logits over the bundle's temperature, in nats. */
  energyScore(logits) {
    const highest = Math.max(...logits);
    const powers = logits.map((value) => Math.exp((value - highest) / this.bundle.temperature));
    const total = powers.reduce((sum, value) => sum + value, 0);
    return highest / this.bundle.temperature + Math.log(total);
  }

  /**
   * The `count` most probable classes, the best first, and whether a label is given.
   * @param {number[]} probabilities by class
   * @param {number} energyScore in nats
   */
  answer(probabilities, energyScore, count) {
    const top = probabilities
      .map((probability, index) => ({ label: this.bundle.labels[index], probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count);
    return { top, energyScore, known: this.minEnergyScore === null || energyScore >= this.minEnergyScore };
  }

  /** The energy score from which on the bundle recommends an answer; null where it recommends none. */
  get minEnergyScore() {
    return this.bundle.abstention?.min_energy_score ?? null;
  }
}

/**
 * Times the model alone, in milliseconds a call.
 * @returns {Promise<{samples: number[], callsPerSample: number, clockMs: number}>} sorted samples
 */
export async function measureLatency(classifier, progress) {
  const pixels = new Uint8Array(classifier.shape.reduce((a, b) => a * b)).map((_, i) => (i * 97) & 255);
  const clockMs = clockStep();
  const time = async (calls) => {
    const begun = performance.now();
    for (let i = 0; i < calls; i++) await classifier.logits(pixels);
    return (performance.now() - begun) / calls;
  };
  const discarded = [];
  while (discarded.length < DISCARDED_CALLS) discarded.push(await time(1));
  const usual = discarded.sort((a, b) => a - b)[DISCARDED_CALLS / 2];
  const callsPerSample = Math.ceil((CLOCK_STEPS * clockMs) / Math.max(usual, clockMs));
  const samples = [];
  while (samples.length < SAMPLES) {
    samples.push(await time(callsPerSample));
    if (samples.length % 20 === 0) {
      progress(samples.length, SAMPLES);
      await nextTask(); // the page stays responsive
    }
  }
  return { samples: samples.sort((a, b) => a - b), callsPerSample, clockMs };
}

/** The smallest step that this browser's clock is seen to take, in milliseconds. */
function clockStep() {
  let smallest = Infinity;
  for (let i = 0; i < 10; i++) {
    const begun = performance.now();
    let now = begun;
    while (now === begun) now = performance.now();
    smallest = Math.min(smallest, now - begun);
  }
  return smallest;
}

export const nextTask = () => new Promise((resolve) => setTimeout(resolve));

export async function fetchJson(url) {
  return (await fetched(url)).json();
}

async function fetched(url) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${url} cannot be fetched: is the server still there?`);
  }
  if (!response.ok) throw new Error(`${url} cannot be fetched: the server says ${response.status}.`);
  return response;
}

async function fetchBytes(url, progress) {
  const response = await fetched(url);
  const parts = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    length += value.length;
    progress(length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** The WebAssembly module, which is stored gzipped: some servers send it unzipped already. */
async function unzipped(bytes) {
  if (bytes[0] !== GZIP_MAGIC) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** True when size and SHA-256 are right; null where the browser offers no SHA-256. */
async function isAsRecorded(content, artifact) {
  const damaged = new Error(`${artifact.file} is damaged: it is not the file that bundle.json describes.`);
  if (content.length !== artifact.bytes) throw damaged;
  if (!globalThis.crypto?.subtle) return null; // a page that came over plain HTTP
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (hex !== artifact.sha256) throw damaged;
  return true;
}
