"""Writes ``torch_archive.pth`` and ``torch_row.pth``: small files of ``torch.save``, real ones.

``python tests/reference/record_torch_files.py``, with PyTorch installed. Both hold
``{"epoch": 3, "model": ...}`` with what :func:`torch_files.arrays` lists; ``archive`` in the layout
that PyTorch has had since version 1.6, ``row`` in the one before.
"""

import collections
from pathlib import Path

import torch
from torch_files import arrays

made = {name.partition(".")[2]: torch.tensor(array) for name, array in arrays().items()}
made["turned"] = torch.tensor(arrays()["model.turned"].T.copy()).T  # its steps are not a row's
base = torch.arange(10, dtype=torch.float32)
made["low"], made["high"] = base[:4], base[4:]  # two parts of one storage
made["learnt"] = torch.nn.Parameter(made["learnt"])
content = {"epoch": 3, "model": collections.OrderedDict(made)}
content["model"]._metadata = collections.OrderedDict({"": {"version": 2}})
for layout in ("archive", "row"):
    target = Path(__file__).parent / f"torch_{layout}.pth"
    torch.save(content, target, _use_new_zipfile_serialization=layout == "archive")
    print(f"{target}: {target.stat().st_size} bytes")
