// Pictures as `toPixels` reads them: from a file, or from a camera's frame.

const MAX_PIXELS = 100_000_000; // as tinysight.preprocess: a small file may claim any size

/**
 * A picture that `toPixels` reads part by part.
 * @param {CanvasImageSource} drawable
 */
function pictureOf(drawable, width, height, canvas = document.createElement("canvas")) {
  return {
    width,
    height,
    read(x, y, partWidth, partHeight) {
      if (canvas.width !== partWidth || canvas.height !== partHeight) {
        canvas.width = partWidth;
        canvas.height = partHeight;
      }
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.fillRect(0, 0, partWidth, partHeight); // transparency lies over black, as on a device
      context.drawImage(drawable, -x, -y);
      return context.getImageData(0, 0, partWidth, partHeight).data;
    },
  };
}

/**
 * Decodes an image file, turned as its EXIF orientation says; colour profiles are not applied, as
 * on a device. The caller closes the bitmap.
 * @param {Blob} blob
 * @throws {Error} with a sentence for people, when the browser cannot read it
 */
export async function decodePicture(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
      imageOrientation: "from-image",
    });
  } catch {
    throw new Error(`${blob.name || "This file"} is not a picture that this browser can read.`);
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    bitmap.close();
    throw new Error("This picture has more than 100 million pixels.");
  }
  return { ...pictureOf(bitmap, bitmap.width, bitmap.height), close: () => bitmap.close() };
}

/** A camera as a source of frames; each call gives the frame of that moment. */
export function frameReader(video) {
  const canvas = document.createElement("canvas");
  return () => pictureOf(video, video.videoWidth, video.videoHeight, canvas);
}
