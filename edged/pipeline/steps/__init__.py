"""The named, versioned steps a bundle may put before and after its model, as data; a module for each kind of data."""

from edged.pipeline.steps.files import BytesWindow
from edged.pipeline.steps.scores import Labels, Softmax, TopK

Step = BytesWindow | Softmax | TopK | Labels
"""Every step there is. A pipeline may have any of them on either side of the model; their types have to fit."""
