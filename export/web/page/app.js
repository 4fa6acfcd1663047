// The page: from a picture or the camera to the answer on the screen.

import { Camera } from "./camera.js";
import { fetchJson, loadClassifier, measureLatency, nextTask } from "./engine.js";
import { compareGolden, goldenInputs } from "./golden.js";
import { decodePicture } from "./pictures.js";
import { cropBox, toPixels } from "./preprocess.js";
import * as view from "./view.js";

const TOP = 5;
const $ = (id) => document.getElementById(id);

const loaded = load(); // a promise of the classifier: pictures that come early wait for it
let chosen = 0; // counts what was chosen, so that only the last answer is shown
const camera = new Camera($("video"), showFrame, view.showFrameRate, cameraEnded);

start();

async function load() {
  const site = await fetchJson("site.json");
  view.showCard(site.card);
  return loadClassifier(site, view.showProgress);
}

async function start() {
  listen();
  keepOffline();
  try {
    const classifier = await loaded;
    view.showModel(classifier);
    view.showFileCheck(classifier);
    await checkGolden(classifier);
    await measure();
  } catch (error) {
    view.showLoadError(error);
  }
}

function listen() {
  $("file").addEventListener("change", () => {
    choose($("file").files);
    $("file").value = ""; // the same file may be chosen again
  });
  addEventListener("paste", (event) => choose(event.clipboardData.files));
  addEventListener("dragover", (event) => {
    event.preventDefault(); // the browser would open the file
    document.body.classList.add("dragging");
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) document.body.classList.remove("dragging");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    choose(event.dataTransfer.files);
  });
  $("camera").addEventListener("click", () => (camera.running ? stopCamera() : startCamera()));
  $("other-camera").addEventListener("click", () => startCamera(camera.otherDevice()));
  $("smoothing").addEventListener("input", () => {
    camera.smoothing = Number($("smoothing").value);
    view.showSmoothing(camera.smoothing);
  });
  $("measure").addEventListener("click", measure);
  addEventListener("resize", () => view.placeCrop());
}

async function choose(files) {
  const file = files[0];
  if (!file) return;
  stopCamera();
  const turn = ++chosen;
  view.clearMessage();
  try {
    const classifier = await loaded;
    const begun = performance.now();
    const picture = await decodePicture(file);
    const decoded = performance.now();
    const { pixels, box } = prepared(classifier, picture);
    picture.close();
    const resized = performance.now();
    const logits = await classifier.logits(pixels);
    const answered = performance.now();
    if (turn !== chosen) return;
    view.showPicture(file, picture, box);
    showAnswer(classifier, classifier.probabilities(logits), classifier.energyScore(logits), pixels);
    view.showTiming([["decoded", decoded - begun], ["resized", resized - decoded], ["answered", answered - resized]]);
  } catch (error) {
    if (turn === chosen) view.showMessage(error.message);
  }
}

function prepared(classifier, picture) {
  const { height, width, resample } = classifier.bundle;
  return { pixels: toPixels(picture, height, width, resample), box: cropBox(picture, height, width) };
}

async function startCamera(deviceId) {
  chosen++;
  view.clearMessage();
  try {
    await loaded;
    await camera.start(deviceId);
    view.showCamera(camera);
  } catch (error) {
    cameraEnded(error);
  }
}

function stopCamera() {
  if (!camera.running) return;
  camera.stop();
  view.hideCamera();
}

function cameraEnded(error) {
  stopCamera();
  view.showMessage(error.message);
}

/** A camera's frame: its probabilities and energy score are smoothed with those of the frames before. */
async function showFrame(frame) {
  const classifier = await loaded;
  const begun = performance.now();
  const { pixels, box } = prepared(classifier, frame);
  const resized = performance.now();
  const logits = await classifier.logits(pixels);
  const answered = performance.now();
  if (!camera.running) return;
  view.placeCrop(frame, box);
  const smoothed = camera.smooth([...classifier.probabilities(logits), classifier.energyScore(logits)]);
  showAnswer(classifier, smoothed.slice(0, -1), smoothed.at(-1), pixels);
  view.showTiming([["resized", resized - begun], ["answered", answered - resized]]);
}

function showAnswer(classifier, probabilities, energyScore, pixels) {
  view.showPixels(pixels, classifier.bundle);
  view.showAnswer(classifier.answer(probabilities, energyScore, TOP), classifier.minEnergyScore);
}

async function checkGolden(classifier) {
  const golden = classifier.artifact.golden;
  if (!golden) {
    view.showGolden(null);
    return;
  }
  const logits = [];
  for (const input of goldenInputs(classifier.bundle, golden.logits.length)) {
    logits.push(await classifier.logits(input));
  }
  view.showGolden(compareGolden(logits, golden));
  await nextTask();
}

async function measure() {
  const classifier = await loaded;
  $("measure").disabled = true;
  view.showLatency(await measureLatency(classifier, view.showMeasuring));
  $("measure").disabled = false;
}

async function keepOffline() {
  if (!("serviceWorker" in navigator)) {
    view.showOffline("unknown", "Needs a page that came over HTTPS.");
    return;
  }
  try {
    await loaded; // the first load comes first, what is kept for later after it
    const updates = navigator.serviceWorker.controller !== null;
    navigator.serviceWorker.addEventListener("controllerchange", () => {
      if (updates) view.showMessage("A newer version of this page has arrived: reload it to use it.");
    });
    await navigator.serviceWorker.register("service-worker.js");
    await navigator.serviceWorker.ready;
    view.showOffline("ok", "The page and the model are stored: they work without a network.");
  } catch {
    view.showOffline("unknown", "This browser did not store the page.");
  }
}
