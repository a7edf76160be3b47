"""Lets torchvision be imported beside a CPU build of torch. To be imported before transformers, which imports it too.

torchdistill imports torchvision, though nothing of it is needed here. The one in the index is linked to CUDA: where its
operators do not load, its import stops at those that it looks up by name. They are named here, without doing anything.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch

_NAMED = torch.library.Library("torchvision", "FRAGMENT")

if find_spec("torchvision") and torch.version.cuda is None:
    for name in ("nms", "qnms"):
        _NAMED.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
