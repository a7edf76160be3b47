"""Settings of every test: one thread for each worker, since the workers share the cores."""

from __future__ import annotations

import os

# Before torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

torch.set_num_threads(1)
