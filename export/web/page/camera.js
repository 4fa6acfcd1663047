// The camera: frame after frame, never two at once, and none while the page is hidden.

import { frameReader } from "./pictures.js";

const REPORT_MS = 1000; // how often the frame rate is told

export class Camera {
  /**
   * @param {HTMLVideoElement} video
   * @param {(frame: object) => Promise<void>} onFrame the next frame is taken when it is done
   * @param {(perSecond: number) => void} onRate
   * @param {(error: Error) => void} onEnd called when the camera goes away, or a frame fails
   */
  constructor(video, onFrame, onRate, onEnd) {
    this.video = video;
    this.onFrame = onFrame;
    this.onRate = onRate;
    this.onEnd = onEnd;
    this.smoothing = 0.5; // time constant, in seconds
    this.stream = null;
    this.devices = [];
    this.read = frameReader(video);
  }

  get running() {
    return this.stream !== null;
  }

  /** True for a camera that looks at the user, who expects a mirror. */
  get facesUser() {
    return this.stream?.getVideoTracks()[0].getSettings().facingMode === "user";
  }

  /** @throws {Error} with a sentence for people */
  async start(deviceId) {
    this.stop();
    if (!navigator.mediaDevices) throw new Error("The camera needs a page that came over HTTPS, or from localhost.");
    const wanted = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "environment" };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        video: { ...wanted, width: { ideal: 640 }, height: { ideal: 480 } },
      });
    } catch (error) {
      throw new Error(explained(error));
    }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener("ended", () => this.onEnd(new Error("The camera went away.")));
    const all = await navigator.mediaDevices.enumerateDevices();
    this.devices = all.filter(({ kind }) => kind === "videoinput");
    this.smoothed = null;
    this.video.srcObject = this.stream;
    await this.video.play();
    this.loop(this.stream).catch(this.onEnd);
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = null;
    this.video.srcObject = null;
  }

  /** The id of the camera after the one in use. */
  otherDevice() {
    const { deviceId } = this.stream.getVideoTracks()[0].getSettings();
    const at = this.devices.findIndex((device) => device.deviceId === deviceId);
    return this.devices[(at + 1) % this.devices.length].deviceId;
  }

  async loop(stream) {
    let frames = 0;
    let since = performance.now();
    while (this.stream === stream) {
      await nextFrame(this.video);
      if (this.stream !== stream) return;
      if (this.video.videoWidth === 0) continue;
      await this.onFrame(this.read());
      frames++;
      const elapsed = performance.now() - since;
      if (elapsed >= REPORT_MS) {
        this.onRate((1000 * frames) / elapsed);
        frames = 0;
        since = performance.now();
      }
    }
  }

  /** An exponential average over time: a frame's weight falls to 1/e within `smoothing` seconds. */
  smooth(numbers) {
    const now = performance.now();
    const before = this.smoothed;
    const weight = before && this.smoothing > 0 ? 1 - Math.exp((before.time - now) / 1000 / this.smoothing) : 1;
    const values = numbers.map((it, i) => (before ? before.values[i] + weight * (it - before.values[i]) : it));
    this.smoothed = { values, time: now };
    return values;
  }
}

/** Waits for a frame that was not shown before; browsers give none to a hidden page. */
function nextFrame(video) {
  return new Promise((resolve) => {
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(resolve);
    else requestAnimationFrame(resolve);
  });
}

function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The camera was not allowed: the browser’s settings for this page can change that.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "This device has no camera that the browser can use.";
    case "NotReadableError":
      return "The camera is in use by another program.";
    default:
      return `The camera cannot be used: ${error.message}`;
  }
}
