"""The document that names a developer's models is read as it was written, whatever they are called."""

import re

from edged.dev.local.document import NAME, LocalModel, LocalModels, read_models, write_models
from edged.ids import MODEL_NAME_PATTERN


def test_it_is_read_as_it_was_written(tmp_path):
    models = LocalModels(models={"gauge": LocalModel(version="0.1.0-local.1", source="/home/d/gauge.onnx")})

    write_models(tmp_path / NAME, models)

    assert read_models(tmp_path / NAME) == models


def test_no_file_of_a_model_has_its_name():
    """Those begin with the name of the model: one of the name ``models`` has a ``models.json``."""
    assert re.match(MODEL_NAME_PATTERN, NAME) is None
