// $name, $artifact of tinysight, SHA-256 $sha256.
// Written by `python -m export mcu`. Takes int8, pixel - 128; gives int8.

#ifndef TINYSIGHT_MODEL_H_
#define TINYSIGHT_MODEL_H_

#include <cstddef>
#include <cstdint>

namespace tinysight {

// Of the input: red, green, blue, row by row from the top left.
constexpr int kHeight = $height;
constexpr int kWidth = $width;
constexpr int kChannels = $channels;

constexpr int kClasses = $classes;
extern const char* const kLabels[kClasses];

// A logit is kOutputScale * (output - kOutputZeroPoint). Probabilities are the softmax of the
// logits divided by kTemperature.
constexpr float kOutputScale = ${output_scale}f;
constexpr int kOutputZeroPoint = $output_zero_point;
constexpr float kTemperature = ${temperature}f;

// The smallest arena in which the reference kernels ran it, on a 64-bit machine.
constexpr size_t kArenaBytes = $arena_bytes;
// What CMSIS-NN's convolutions want beside it, at most.
constexpr size_t kCmsisScratchBytes = $cmsis_scratch_bytes;

constexpr size_t kModelBytes = $flash_bytes;
extern const unsigned char kModel[kModelBytes];

}  // namespace tinysight

#endif  // TINYSIGHT_MODEL_H_
