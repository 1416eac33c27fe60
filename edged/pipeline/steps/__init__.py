"""The named, versioned steps a bundle may put before and after its model, as data; a module for each kind of data."""

from edged.pipeline.steps.arrays import Cast, Normalize, Pad, PadTo
from edged.pipeline.steps.audio import DecodePcm, DecodeWav, LogMel, Window
from edged.pipeline.steps.detection import NonMaximumSuppression, ScaleBoxes
from edged.pipeline.steps.embeddings import L2Normalize, MeanPool
from edged.pipeline.steps.files import BytesWindow
from edged.pipeline.steps.graph import Graph
from edged.pipeline.steps.image import Crop, DecodeImage, Resize
from edged.pipeline.steps.regression import DialReading, Scale
from edged.pipeline.steps.scores import Argmax, Labels, OneHot, Sigmoid, Softmax, Threshold, TopK
from edged.pipeline.steps.sequence import CtcDecode
from edged.pipeline.steps.shapes import Concat, Layout, Reshape, Stack, Transpose
from edged.pipeline.steps.text import Bpe, CleanText, WordPiece, WordPieceVocabulary

Step = (
    Cast
    | Normalize
    | Pad
    | PadTo
    | DecodePcm
    | DecodeWav
    | LogMel
    | Window
    | NonMaximumSuppression
    | ScaleBoxes
    | L2Normalize
    | MeanPool
    | BytesWindow
    | Graph
    | Crop
    | DecodeImage
    | Resize
    | DialReading
    | Scale
    | Argmax
    | Labels
    | OneHot
    | Sigmoid
    | Softmax
    | Threshold
    | TopK
    | CtcDecode
    | Concat
    | Layout
    | Reshape
    | Stack
    | Transpose
    | Bpe
    | CleanText
    | WordPiece
    | WordPieceVocabulary
)
"""Every step there is. A pipeline may have any of them on either side of the model; their types have to fit."""
