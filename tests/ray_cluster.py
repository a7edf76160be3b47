"""A Ray cluster of two machines, which here are processes of this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'kselect[ray]'")
cluster_utils = pytest.importorskip("ray.cluster_utils")

ROOT = Path(__file__).parents[1]
STORE = 100 * 2**20
"""Bytes of memory for objects, of which there are few here."""


@contextmanager
def two_machines() -> Iterator[None]:
    """Two machines of one core each, at the address in RAY_ADDRESS."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # what is pickled here is imported there
        machine = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=machine)
        try:
            cluster.add_node(num_cpus=1, object_store_memory=STORE)
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield
        finally:
            ray.shutdown()
            cluster.shutdown()
