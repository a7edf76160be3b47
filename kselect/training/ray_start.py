"""Where Ray runs: a cluster, or this machine; and how a process of it joins a command."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from pathlib import Path

import ray
import torch
from ray.exceptions import RayError

from kselect.config import EngineConfig
from kselect.errors import KselectError
from kselect.logging import get_logger

ADDRESS = "RAY_ADDRESS"
PATIENCE = 10.0
"""Seconds until a cluster must have answered."""
STORE_BYTES = 100 * 2**20
"""Memory for objects where a study starts Ray; settings and results are small, and Ray takes a third of it all."""


def connect(config: EngineConfig) -> None:
    """Connect to the cluster, or start Ray on this machine; without what a run reserves it would wait for ever."""
    address = os.environ.get(ADDRESS)
    if not ray.is_initialized():
        handler = signal.getsignal(signal.SIGTERM)
        try:
            if address:
                _check_answer(address)
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init(
                    "local",
                    num_cpus=config.processes * config.cpus_per_run,
                    include_dashboard=False,
                    object_store_memory=STORE_BYTES,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (OSError, RuntimeError, ValueError, RayError) as error:
            where = f"with the cluster at {address} ({ADDRESS})" if address else "on this machine"
            reason = " ".join(str(error).split())
            raise KselectError(f"Ray does not work {where}: {reason}", setting="engine") from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray's would end a command before it has saved its place
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(
        machine.get("CPU", 0) >= config.cpus_per_run and machine.get("GPU", 0) >= config.gpus_per_run
        for machine in machines
    ):
        needed = f"{config.cpus_per_run} CPU cores and {config.gpus_per_run:g} GPUs"
        if not address:
            raise KselectError(f"A run reserves {needed}, which this machine does not have: reserve less.")
        get_logger().warning("No machine of the cluster has %s, which a run reserves: waiting for one.", needed)


def _check_answer(address: str) -> None:
    """Raise an OSError if nothing listens at host:port, for which Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "://" not in host:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def enter(folder: str, threads: int) -> None:
    """Go to the folder of the study, to which its paths may be relative."""
    if not Path(folder).is_dir():
        raise KselectError(
            f"{folder} does not exist on {socket.gethostname()}: all machines of a cluster need the file system of the "
            "one where the study is started"
        )
    os.chdir(folder)
    torch.set_num_threads(threads)
