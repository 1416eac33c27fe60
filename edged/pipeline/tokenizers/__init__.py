"""From text to the numbers of a language model's vocabulary, as the tokenizer's own files say. Pure Python."""
