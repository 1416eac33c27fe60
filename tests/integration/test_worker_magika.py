"""The real model of the demonstration, through a real worker, against the package it comes from."""

from pathlib import Path

import numpy as np
import pytest

from edged.host.template import Template
from edged.pipeline.pipeline import Pipeline
from edged.pipeline.steps import BytesWindow, Labels, Softmax, TopK
from edged.worker.arrays import to_array, to_tensor
from tests.fakes.patience import PATIENCE_S
from tests.fakes.workers import opened, spec_of, worker_spec

magika = pytest.importorskip("magika", reason="the model comes in the magika package (the demo extra)")

FILES = {
    "python": b"import os\n\n\ndef main():\n    print(os.getcwd())\n\n\nif __name__ == '__main__':\n    main()\n" * 3,
    "html": b"<!DOCTYPE html>\n<html><head><title>t</title></head><body><p>Hello</p></body></html>\n" * 4,
    "pdf": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n" + b"\x00\x9c" * 3000 + b"\n%%EOF\n",
    "white": b" " * 100 + b'{"key": [1, 2, 3], "other": null}' + b"\n" * 5000,
}


async def test_answers_are_those_of_the_package(tmp_path):
    """Same features, same scores, same label; the package's own window and its own session are the reference."""
    reference = magika.Magika()
    names = reference._target_labels_space
    model = (Path(magika.__file__).parent / "models/standard_v3_3/model.onnx").read_bytes()
    labels = "".join(f"{name}\n" for name in names).encode()
    scores = spec_of("target_label", "FP32", (-1, len(names)))
    pipeline = Pipeline(
        inputs=(spec_of("content", "BYTES", (1,)),),
        pre=(BytesWindow(input="content", output="bytes", begin=1024, end=1024, block=4096, padding=256),),
        post=(
            TopK(input="target_label", values="confidence", indices="index", k=1),
            Labels(input="index", output="label", file="labels.txt"),
            Softmax(input="target_label", output="shares"),
        ),
        outputs=(spec_of("label", "BYTES", (-1, 1)), spec_of("confidence", "FP32", (-1, 1))),
    )
    spec = worker_spec(
        model, [spec_of("bytes", "INT32", (-1, 2048))], [scores], pipeline=pipeline, files={"labels.txt": labels}
    )

    async with Template() as template:
        with opened(tmp_path, model, labels) as descriptors:
            worker = await template.start_worker(spec, descriptors, timeout_s=PATIENCE_S)
        async with worker:
            for data in FILES.values():
                content = np.empty(1, dtype=object)
                content[0] = data
                result = await worker.infer([to_tensor("content", content)], timeout_s=PATIENCE_S)
                label, confidence = (to_array(tensor) for tensor in result.outputs)
                wanted = reference.identify_bytes(data).prediction
                assert label[0, 0].decode() == wanted.dl.label
                assert confidence[0, 0] == pytest.approx(wanted.score, abs=1e-5)
