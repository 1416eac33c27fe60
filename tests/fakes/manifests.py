"""Manifests as documents, to be changed by tests: a small one with steps around its model, and one with every key there is."""

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)


def entry(path, role, sha256=A, size=10, index=None):
    return {"path": path, "role": role, "sha256": sha256, "size": size, "index": index}


def variant(**changes):
    return {
        "id": "toy-1.2.3-fp32-any",
        "tier": "quality",
        "precision": "fp32",
        "format": "onnx",
        "files": [entry("models/toy.onnx", "model", B)],
        "targets": {"arch": ["amd64", "arm64"]},
        "runtime": {"name": "onnxruntime", "version": ">=1.20,<2"},
        "inputs": [{"name": "window", "dtype": "INT32", "shape": [1, 8]}],
        "outputs": [{"name": "scores", "dtype": "FP32", "shape": [1, 3]}],
        "budget": {"latency_ms": 5.0, "memory_bytes": 1000},
    } | changes


def document(**changes):
    return {
        "schema": 1,
        "name": "toy",
        "version": "1.2.3",
        "min_edged": "0.1.0",
        "variants": [variant()],
        "files": [entry("labels.txt", "labels", C), entry("kit/kit.json", "kit", D), entry("sbom.cdx.json", "sbom")],
        "pipeline": {
            "inputs": [{"name": "file", "dtype": "BYTES", "shape": [1]}],
            "pre": [
                {
                    "op": "bytes_window@1",
                    "input": "file",
                    "output": "window",
                    "begin": 4,
                    "end": 4,
                    "block": 64,
                    "padding": 0,
                }
            ],
            "post": [
                {"op": "softmax@1", "input": "scores", "output": "probabilities"},
                {"op": "top_k@1", "input": "probabilities", "values": "confidence", "indices": "index", "k": 1},
                {"op": "labels@1", "input": "index", "output": "label", "file": "labels.txt"},
            ],
            "outputs": [{"name": "label", "dtype": "BYTES", "shape": [1, 1]}],
        },
        "validation": {"kit": "kit/kit.json", "tolerance": [{"output": "label"}]},
        "sbom": "sbom.cdx.json",
        "provenance": {"source": "made for tests", "licence": "Apache-2.0"},
    } | changes


def full_manifest():
    """Return a manifest in which every key that there is is used, but for those of rules for when the model cannot answer."""
    making = {"tools": {"edged": "1.0.0"}, "command": "x", "inputs": [{"name": "a", "sha256": "a" * 64}]}
    metric = {"metric": "top_1_accuracy", "output": "label", "value": 0.9, "samples": 10, "period": 2.0}
    tolerance = {
        "output": "label",
        "absolute": 0.1,
        "relative": 0.1,
        "cosine": 0.9,
        "top_1": 0.9,
        "label_set": 0.5,
        "period": 9.0,
    }
    whole = variant(
        targets={"arch": ["amd64", "arm64"], "accelerators": ["cpu"], "min_memory_bytes": 1, "cpu_features": ["avx2"]},
        runtime={"name": "onnxruntime", "version": ">=1.20", "providers": ["CPUExecutionProvider"]},
        budget={"latency_ms": 5, "memory_bytes": 1000, "power_watts": 1.5},
        session={"threads": 2, "spinning": True},
        tolerance=[tolerance],
        metrics=[metric],
        origin={"method": "distilled", "made_from": "b" * 64, "making": making},
    )
    value = document(variants=[whole, variant(id="toy-1.2.3-fp32-any-b", tier="memory", state=[])])
    value["files"].append(entry("model.sig", "signature"))
    value["signature"] = "model.sig"
    value["fallback"] = [{"use": "smaller-variant"}, {"use": "refuse"}]
    value["validation"]["metrics"] = [{"metric": "label_accuracy", "output": "label", "at_least": 0.5}]
    value["provenance"] |= {"supplier": "x", "training_config_sha256": "c" * 64, "making": making}
    return value


def every_fallback():
    """Return rules with every key they can have, for ``full_manifest``."""
    constant = {"name": "label", "dtype": "BYTES", "shape": [1, 1], "data": ["unknown"]}
    return [
        {"use": "smaller-variant", "variant": "toy-1.2.3-fp32-any-b"},
        {"use": "previous-version"},
        {"use": "constant", "outputs": [constant]},
        {"use": "refuse"},
    ]
