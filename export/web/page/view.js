// What is written to the page. Nothing here decides anything.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const MAX_BINS = 32;
const EXAMPLES = 30; // classes that are named before the first answer
const SPEAK_EVERY_MS = 2000; // a screen reader is not interrupted more often

let crop = null; // the last picture's size and the part of it that is used
let pictureUrl = null;
let spokenAt = -Infinity;

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];

/** Such as 0.62 ms, 1.4 ms, 14 ms, 1.2 s. */
function milliseconds(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms >= 10 ? ms.toFixed(0) : ms.toPrecision(2)} ms`;
}

const kilobytes = (bytes) => `${Math.max(1, Math.round(bytes / 1000)).toLocaleString("en")} KB`;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// --- loading ---------------------------------------------------------------------------------

export function showProgress(done, total) {
  $("loading-note").hidden = true;
  $("progress").value = done / total;
}

export function showLoadError(error) {
  $("loading").hidden = true;
  $("golden-badge").dataset.state = "bad";
  for (const id of ["check-golden", "check-file"]) showCheck(id, "bad", "The model did not load.");
  showMessage(`The model cannot run here. ${error.message}`);
}

export function showModel({ bundle, artifact }) {
  $("loading").hidden = true;
  $("subtitle").textContent = `${bundle.name} · ${bundle.labels.length} classes`;
  document.title = `${bundle.name} · tinysight`;
  const rows = [["name", bundle.name, artifact.recipe], ["input", `${bundle.width} × ${bundle.height} pixels`]];
  if (artifact.accuracy) {
    const { value, interval, n } = artifact.accuracy;
    const [low, high] = interval.map((share) => percent(share));
    rows.push(["test accuracy", percent(value), `${low} to ${high}, of ${n.toLocaleString("en")} images`]);
  }
  rows.push(["size", kilobytes(artifact.bytes)]);
  if (bundle.abstention) {
    const { accuracy, coverage, min_energy_score: least } = bundle.abstention;
    const note = `${percent(coverage, 0)} of the validation images get an answer, ${percent(accuracy, 0)} of these a right one`;
    rows.push(["“unknown” below", `an energy score of ${least.toFixed(2)}`, note]);
  }
  $("model").replaceChildren(
    ...rows.map(([term, value, note]) => {
      const shown = element("dd", {}, value, ...(note ? [element("small", {}, note)] : []));
      return element("div", {}, element("dt", {}, term), shown);
    }),
  );
  showChips($("classes"), bundle.labels);
  showChips($("examples"), bundle.labels.slice(0, EXAMPLES));
  if ($("answer").dataset.state === "empty") clearAnswer();
}

function showChips(list, labels) {
  list.replaceChildren(...labels.map((label) => element("li", {}, label)));
  if (list.scrollHeight > list.clientHeight) list.tabIndex = 0; // so that the keyboard scrolls it
}

/** @param {string | null} address of the bundle's model card */
export function showCard(address) {
  $("card").hidden = address === null;
  if (address !== null) $("card").querySelector("a").href = address;
}

// --- checks ----------------------------------------------------------------------------------

function showCheck(id, state, text) {
  $(id).dataset.state = state;
  $(id).querySelector("span").textContent = text;
}

export function showFileCheck({ artifact, checked }) {
  const name = `${artifact.file}, ${kilobytes(artifact.bytes)}`;
  if (checked) {
    showCheck("check-file", "ok", `${name}: its SHA-256 is the one in bundle.json, ${artifact.sha256.slice(0, 12)}…`);
  } else {
    showCheck("check-file", "unknown", `${name}: its SHA-256 can be checked only on a page that came over HTTPS.`);
  }
}

export function showGolden(comparison) {
  if (comparison === null) {
    $("golden-badge").hidden = true;
    showCheck("check-golden", "unknown", "The bundle keeps none for this model.");
    return;
  }
  const { inputs, sameTop1, maxRelativeError, tolerance, ok } = comparison;
  const state = ok ? "ok" : "bad";
  $("golden-badge").dataset.state = state;
  const verdict = ok ? element("span", { class: "visually-hidden" }, " agree") : " differ";
  $("golden-badge").replaceChildren("Golden answers", verdict);
  const error = maxRelativeError < 1e-5 ? "less than 0.001 %" : `${(100 * maxRelativeError).toPrecision(2)} %`;
  showCheck(
    "check-golden", state,
    `${sameTop1} of ${inputs} name the workstation’s class; the largest difference of a logit is ${error} of their spread, ` +
      `allowed is ${100 * tolerance} %.`,
  );
}

export function showOffline(state, text) {
  showCheck("check-offline", state, text);
}

// --- the picture -----------------------------------------------------------------------------

export function showMessage(text) {
  $("message").textContent = text;
  $("message").hidden = false;
}

export function clearMessage() {
  $("message").hidden = true;
}

export function showPicture(file, size, box) {
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  pictureUrl = URL.createObjectURL(file);
  $("picture").onload = () => placeCrop(size, box);
  $("picture").alt = `The chosen picture${file.name ? `, ${file.name}` : ""}`;
  $("picture").src = pictureUrl;
  $("stage").dataset.view = "picture";
}

export function showCamera({ devices, facesUser }) {
  $("stage").dataset.view = "camera";
  $("video").classList.toggle("mirrored", facesUser);
  $("camera").textContent = "Stop the camera";
  $("other-camera").hidden = devices.length < 2;
  $("camera-controls").hidden = false;
  $("frame-rate").textContent = "";
}

export function hideCamera() {
  $("camera").textContent = "Use the camera";
  $("other-camera").hidden = true;
  $("camera-controls").hidden = true;
  $("stage").dataset.view = "empty";
  clearAnswer();
}

/** Draws a frame about the part of the picture that the model is given. */
export function placeCrop(size = crop?.size, box = crop?.box) {
  if (!size) return;
  crop = { size, box };
  const shown = $("stage").dataset.view === "camera" ? $("video") : $("picture");
  // The picture lies within its element's box, centred, as object-fit: contain puts it.
  const scale = Math.min(shown.clientWidth / size.width, shown.clientHeight / size.height);
  const left = shown.offsetLeft + (shown.clientWidth - scale * size.width) / 2;
  const top = shown.offsetTop + (shown.clientHeight - scale * size.height) / 2;
  Object.assign($("crop").style, {
    left: `${left + box[0] * scale}px`,
    top: `${top + box[1] * scale}px`,
    width: `${(box[2] - box[0]) * scale}px`,
    height: `${(box[3] - box[1]) * scale}px`,
  });
}

export function showSmoothing(seconds) {
  $("smoothing-value").textContent = seconds === 0 ? "off" : `${seconds.toFixed(1)} s`;
}

export function showFrameRate(perSecond) {
  $("frame-rate").textContent = `${perSecond.toFixed(0)} frames/s`;
}

// --- the answer ------------------------------------------------------------------------------

function clearAnswer() {
  $("answer").dataset.state = "empty";
  $("label").textContent = "Ready";
  $("share").textContent = "";
  $("explanation").textContent = "Show it one of these:";
  $("top").replaceChildren();
  $("timing").textContent = "";
  $("pixels").getContext("2d").clearRect(0, 0, $("pixels").width, $("pixels").height);
}

export function showAnswer({ top, energyScore, known }, minEnergyScore) {
  const [best] = top;
  $("answer").dataset.state = known ? "known" : "unknown";
  $("label").textContent = known ? best.label : "unknown";
  $("share").textContent = known ? percent(best.probability) : "";
  $("explanation").textContent = explained(best, energyScore, minEnergyScore);
  showTop(top);
  speak(known ? `${best.label}, ${percent(best.probability, 0)}` : `unknown, perhaps ${best.label}`);
}

function explained(best, energyScore, minEnergyScore) {
  if (minEnergyScore === null) return "A calibrated probability.";
  const [score, least] = [energyScore, minEnergyScore].map((nats) => nats.toFixed(2));
  if (energyScore >= minEnergyScore) return `Its energy score is ${score}; this model asks for ${least}.`;
  return `Perhaps ${best.label}: its energy score, ${score}, is below ${least}.`;
}

function showTop(top) {
  const list = $("top");
  while (list.children.length > top.length) list.lastChild.remove();
  while (list.children.length < top.length) list.append(topRow());
  top.forEach(({ label, probability }, i) => {
    const [name, share, track] = list.children[i].children;
    name.textContent = label;
    share.textContent = percent(probability);
    track.firstChild.style.width = `${100 * probability}%`;
  });
}

function topRow() {
  const track = element("span", { class: "track", "aria-hidden": "true" }, element("span", { class: "bar" }));
  return element("li", {}, element("span"), element("span", { class: "share" }), track);
}

/** For screen readers: every new answer, but a camera's not more often than they can be read. */
function speak(text) {
  const now = performance.now();
  const camera = $("stage").dataset.view === "camera";
  if (camera && (now - spokenAt < SPEAK_EVERY_MS || $("label").textContent === $("spoken").dataset.label)) return;
  spokenAt = now;
  $("spoken").dataset.label = $("label").textContent;
  $("spoken").textContent = text;
}

export function showPixels(pixels, { height, width }) {
  const canvas = $("pixels");
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    image.data.set(pixels.subarray(from, from + 3), to);
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  $("pixels-note").textContent = `The model’s own view: ${width} × ${height} pixels`;
}

export function showTiming(steps) {
  $("timing").textContent = steps.map(([what, ms]) => `${what} in ${milliseconds(Math.max(ms, 0.1))}`).join(", ");
}

// --- latency ---------------------------------------------------------------------------------

export function showMeasuring(done, total) {
  $("latency-note").textContent = `Measuring: ${done} of ${total} …`;
}

export function showLatency({ samples, callsPerSample, clockMs }) {
  const [median, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentile(samples, share));
  $("latency-median").textContent = milliseconds(median);
  $("latency-p95").textContent = milliseconds(p95);
  $("latency-p99").textContent = milliseconds(p99);
  drawHistogram(samples, median, p95, clockMs / callsPerSample);
  const each = callsPerSample === 1 ? "one call" : `the mean of ${callsPerSample} calls`;
  $("latency-note").textContent =
    `The model alone, on one thread: ${samples.length} samples, each ${each}, since this browser’s clock ` +
    `goes in steps of ${clockMs.toPrecision(1)} ms.`;
}

/** Up to the 95th percentile: what is slower would squeeze the rest. `step` is the samples' own. */
function drawHistogram(samples, median, p95, step) {
  const low = samples[0];
  const high = Math.max(p95, low * 1.25);
  const bins = Math.min(MAX_BINS, Math.max(4, Math.floor((high - low) / step)));
  const counts = new Array(bins).fill(0);
  for (const value of samples) {
    if (value <= high) counts[Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))]++;
  }
  const tallest = Math.max(...counts);
  const bars = counts.map((count, i) => {
    const height = (70 * count) / tallest;
    return svgElement("rect", { x: (i * 320) / bins + 0.75, y: 80 - height, width: 320 / bins - 1.5, height });
  });
  const x = (320 * (median - low)) / (high - low);
  $("histogram").replaceChildren(...bars, svgElement("line", { class: "median", x1: x, x2: x, y1: 0, y2: 80 }));
  const [first, last] = $("histogram-axis").children;
  first.textContent = milliseconds(low);
  last.textContent = milliseconds(high);
  $("histogram").setAttribute(
    "aria-label",
    `Distribution of the latency from ${milliseconds(low)} to ${milliseconds(high)}, median ${milliseconds(median)}`,
  );
}

function svgElement(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
