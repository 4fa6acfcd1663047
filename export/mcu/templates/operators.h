// The operators that the model needs, and no other: the linker leaves out the rest.

#ifndef TINYSIGHT_OPERATORS_H_
#define TINYSIGHT_OPERATORS_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace tinysight {

constexpr int kOperators = $operators;
using OpResolver = tflite::MicroMutableOpResolver<kOperators>;

inline TfLiteStatus AddOperators(OpResolver& resolver) {
$additions
  return kTfLiteOk;
}

}  // namespace tinysight

#endif  // TINYSIGHT_OPERATORS_H_
