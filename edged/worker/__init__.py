"""The processes that execute models: the template that is warm, and the workers forked from it, each with one model.

Nothing else imports this: it needs numpy and ONNX Runtime, which the daemon has no room for. ``edged.runtime`` is what both sides know.
"""
