"""Image sets: one file per kind of data, and batches of them. NumPy and Pillow only.

Read ``images``, then ``kinds``, ``sources`` and ``batches``; ``mnist`` and ``folder`` are
the kinds.
"""

from ppgan_zoo.data.batches import Batch, Batches, as_batch
from ppgan_zoo.data.folder import load_folder
from ppgan_zoo.data.idx import read_idx, write_idx
from ppgan_zoo.data.images import ImageSet, scale_to_range, to_uint8
from ppgan_zoo.data.kinds import DataKind
from ppgan_zoo.data.official import OFFICIAL_SETS
from ppgan_zoo.data.sources import load_image_set

__all__ = [
    "OFFICIAL_SETS",
    "Batch",
    "Batches",
    "DataKind",
    "ImageSet",
    "as_batch",
    "load_folder",
    "load_image_set",
    "read_idx",
    "scale_to_range",
    "to_uint8",
    "write_idx",
]
