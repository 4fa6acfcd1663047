"""The part of TensorFlow Lite Micro's C++ interface that a generated firmware calls.

No package brings TFLM's C++ sources, so these are declarations after those of the project
(tensorflow/lite/micro/{micro_interpreter,micro_mutable_op_resolver,micro_log,system_setup}.h), with
the least behind them that lets main.cc run: the outputs of an inference are `answers`, and what the
program put into the input is written to stdout at its end.
"""

from pathlib import Path

_OP_RESOLVER = """
#pragma once
#include <cstddef>
#include <cstdint>
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
union TfLitePtrUnion { void* raw; float* f; uint8_t* uint8; int8_t* int8; };
struct TfLiteTensor { TfLitePtrUnion data; };
namespace tflite {
class MicroOpResolver {
 public:
  virtual ~MicroOpResolver() {}
  virtual unsigned int registered() const = 0;
};
template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
  unsigned int registered() const override { return count_; }
METHODS
 private:
  TfLiteStatus Add() { return ++count_ <= tOpCount ? kTfLiteOk : kTfLiteError; }
  unsigned int count_ = 0;
};
}
"""
_METHODS = (
    "Add", "AveragePool2D", "Conv2D", "DepthwiseConv2D", "FullyConnected", "MaxPool2D", "Mean",
    "Mul", "Pad", "Relu", "Reshape", "StridedSlice",
)  # fmt: skip

_INTERPRETER = """
#pragma once
#include <cstdio>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
#define TFLITE_SCHEMA_VERSION (3)
namespace tflite {
class MicroInterpreter {
 public:
  MicroInterpreter(const Model* model, const MicroOpResolver& resolver, uint8_t* tensor_arena,
                   size_t tensor_arena_size)
      : resolver_(resolver) {}
  TfLiteStatus AllocateTensors() {
    return resolver_.registered() == OPERATORS ? kTfLiteOk : kTfLiteError;
  }
  TfLiteStatus Invoke() {
    FILE* file = std::fopen("seen.bin", "wb");
    std::fwrite(input_bytes_, 1, sizeof(input_bytes_), file);
    std::fclose(file);
    return kTfLiteOk;
  }
  TfLiteTensor* input(size_t index) { return &input_; }
  TfLiteTensor* output(size_t index) { return &output_; }
  size_t arena_used_bytes() const { return 1; }
 private:
  const MicroOpResolver& resolver_;
  int8_t input_bytes_[INPUT_BYTES] = {};
  int8_t output_bytes_[CLASSES] = {ANSWERS};
  TfLiteTensor input_{{input_bytes_}};
  TfLiteTensor output_{{output_bytes_}};
};
}
"""
_SCHEMA = """
#pragma once
#include <cstdint>
namespace tflite {
struct Model { uint32_t version() const { return 3; } };
inline const Model* GetModel(const void* buf) { static Model model; return &model; }
}
"""
_LOG = """
#pragma once
#include <cstdarg>
#include <cstdio>
inline void MicroPrintf(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::vprintf(format, args);
  va_end(args);
  std::putchar('\\n');
}
"""
_SETUP = "#pragma once\nnamespace tflite { inline void InitializeTarget() {} }\n"


def write(folder: Path, *, input_bytes: int, answers: list[int], operators: int) -> None:
    """Writes the headers into an include folder.

    Args:
        folder: what the compiler's -I names.
        input_bytes: of the model's input.
        answers: the int8 outputs of every inference.
        operators: how many must be registered before tensors are allocated.
    """
    methods = "\n".join(f"  TfLiteStatus Add{name}() {{ return Add(); }}" for name in _METHODS)
    interpreter = (
        _INTERPRETER.replace("INPUT_BYTES", str(input_bytes))
        .replace("CLASSES", str(len(answers)))
        .replace("ANSWERS", ", ".join(map(str, answers)))
        .replace("OPERATORS", str(operators))
    )
    headers = {
        "micro/micro_mutable_op_resolver.h": _OP_RESOLVER.replace("METHODS", methods),
        "micro/micro_interpreter.h": interpreter,
        "micro/micro_log.h": _LOG,
        "micro/system_setup.h": _SETUP,
        "schema/schema_generated.h": _SCHEMA,
    }
    for name, text in headers.items():
        file = folder / "tensorflow" / "lite" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
