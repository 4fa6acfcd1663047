// A picture of coloured noise and the workstation's answer, to see that a board computes the same.
// Only main.cc uses it.

#ifndef TINYSIGHT_EXAMPLE_H_
#define TINYSIGHT_EXAMPLE_H_

#include <cstdint>

namespace tinysight {

constexpr char kExampleLabel[] = $label;

constexpr int8_t kExampleOutputs[$classes] = {
$outputs
};

constexpr uint8_t kExamplePixels[$pixel_bytes] = {
$pixels
};

}  // namespace tinysight

#endif  // TINYSIGHT_EXAMPLE_H_
