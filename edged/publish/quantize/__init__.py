"""Smaller variants of a model: made by ONNX Runtime's quantization tools, and kept only when they answer well enough.

In order: a set of rows is read (``rows``), variants are made (``make``), the model and all variants answer the same rows in turn
(``evaluate``), and what loses more than it may is not kept (``judge``).
"""
