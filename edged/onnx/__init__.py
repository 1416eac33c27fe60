"""What can be told from the bytes of an ONNX model, without the library that would run it."""
