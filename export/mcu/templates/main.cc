// Classifies one picture and prints its label, in TensorFlow Lite Micro. Complete: it builds as a
// plain main(), as an ESP-IDF app_main() and as an Arduino sketch (see README.md).

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "example.h"
#include "model.h"
#include "operators.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifdef ARDUINO
#include <Arduino.h>
#endif

// What optimized kernels want beside the reference kernels' arena. CMSIS-NN: this much at most.
// ESP-NN on an ESP32-S3 wants more: see README.md.
#ifndef TINYSIGHT_SCRATCH_BYTES
#define TINYSIGHT_SCRATCH_BYTES tinysight::kCmsisScratchBytes
#endif

namespace {

constexpr size_t kPixelBytes =
    size_t{tinysight::kHeight} * tinysight::kWidth * tinysight::kChannels;

alignas(16) uint8_t arena[tinysight::kArenaBytes + TINYSIGHT_SCRATCH_BYTES];

tinysight::OpResolver resolver;

// Yours to replace: the camera's picture, cropped to a square and scaled down to the model's size
// by averaging; red, green, blue, row by row from the top left.
void ReadPixels(uint8_t* rgb) {
  for (size_t i = 0; i < kPixelBytes; ++i) rgb[i] = tinysight::kExamplePixels[i];
}

// The interpreter, made once: its arena is static, and it is never freed.
tflite::MicroInterpreter* Interpreter() {
  static tflite::MicroInterpreter interpreter(tflite::GetModel(tinysight::kModel), resolver, arena,
                                              sizeof(arena));
  return &interpreter;
}

bool SetUp() {
  tflite::InitializeTarget();
  if (tflite::GetModel(tinysight::kModel)->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("The model is of another schema version than this TensorFlow Lite Micro.");
    return false;
  }
  if (tinysight::AddOperators(resolver) != kTfLiteOk) return false;
  if (Interpreter()->AllocateTensors() != kTfLiteOk) {
    MicroPrintf("The arena of %d bytes is too small.", static_cast<int>(sizeof(arena)));
    return false;
  }
  MicroPrintf("Arena: %d of %d bytes used.", static_cast<int>(Interpreter()->arena_used_bytes()),
              static_cast<int>(sizeof(arena)));
  return true;
}

// The calibrated probability of a class, in percent: a softmax of logits over the temperature.
int Percent(const int8_t* outputs, int of) {
  float sum = 0.0f;
  for (int i = 0; i < tinysight::kClasses; ++i) {
    const float steps = static_cast<float>(outputs[i] - outputs[of]);
    sum += std::exp(steps * tinysight::kOutputScale / tinysight::kTemperature);
  }
  return static_cast<int>(100.0f / sum + 0.5f);
}

bool Classify() {
  // The picture is written where the model reads it. Its bytes are pixels - 128: flipping the
  // highest bit of a byte subtracts 128 from it.
  uint8_t* pixels = reinterpret_cast<uint8_t*>(Interpreter()->input(0)->data.int8);
  ReadPixels(pixels);
  for (size_t i = 0; i < kPixelBytes; ++i) pixels[i] ^= 0x80;

  if (Interpreter()->Invoke() != kTfLiteOk) {
    MicroPrintf("The inference failed.");
    return false;
  }
  const int8_t* outputs = Interpreter()->output(0)->data.int8;
  int best = 0;
  for (int i = 1; i < tinysight::kClasses; ++i) {
    if (outputs[i] > outputs[best]) best = i;
  }
  MicroPrintf("%s, %d %%", tinysight::kLabels[best], Percent(outputs, best));
  return true;
}

// Only for the example: how far the outputs are from those of the workstation. The reference
// kernels and CMSIS-NN give 0; other kernels may round otherwise.
void CompareWithWorkstation() {
  const int8_t* outputs = Interpreter()->output(0)->data.int8;
  int largest = 0;
  for (int i = 0; i < tinysight::kClasses; ++i) {
    const int difference = outputs[i] - tinysight::kExampleOutputs[i];
    if (difference > largest) largest = difference;
    if (-difference > largest) largest = -difference;
  }
  MicroPrintf("The workstation said %s; largest difference of an output: %d.",
              tinysight::kExampleLabel, largest);
}

}  // namespace

#if defined(ARDUINO)

void setup() {
  Serial.begin(115200);
  if (SetUp() && Classify()) CompareWithWorkstation();
}

void loop() {}

#elif defined(ESP_PLATFORM)

extern "C" void app_main(void) {
  if (SetUp() && Classify()) CompareWithWorkstation();
}

#else

int main() {
  if (!SetUp() || !Classify()) return 1;
  CompareWithWorkstation();
  return 0;
}

#endif
