"""One module a model format: how a Keras model becomes ONNX or TFLite."""
