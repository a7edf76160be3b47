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

from kselect.config import EngineConfig
from kselect.errors import KselectError, first_line
from kselect.logging import get_logger

ADDRESS = "RAY_ADDRESS"
PATIENCE = 10.0
"""Seconds until a cluster must have answered."""
STORE_BYTES = 100 * 2**20
"""Memory for objects where a study starts Ray; settings and results are small, and Ray takes a third of it all."""


def connect(config: EngineConfig) -> None:
    """Connect to the cluster, or start Ray on this machine; without what a run reserves it would wait for ever.

    Raises:
        KselectError: Ray does not start here, there is no such cluster, or this machine has less than a run reserves.
    """
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
        except Exception as error:  # Ray raises a bare one where its own processes do not start
            raise KselectError(_advice(address, first_line(error)), setting="engine") from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray's would end a command before it has saved its place
    _check_room(config, address)


def _check_answer(address: str) -> None:
    """Raise an OSError if nothing listens at host:port, for which Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "://" not in host:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def _advice(address: str | None, reason: str) -> str:
    """Return what is wrong with Ray, and what to do."""
    reason = reason.rstrip(".:")
    if not address:
        return f"Ray does not start on this machine ({reason}): leave engine out to compute in processes without it."
    return (
        f"Ray does not work with the cluster at {address} ({reason}): start it there with ray start --head, by the Ray "
        f"and Python of this environment, or correct {ADDRESS}; without {ADDRESS}, Ray is started on this machine."
    )


def _check_room(config: EngineConfig, address: str | None) -> None:
    """Refuse, or on a cluster that may grow, warn, where no machine has what a run reserves."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found = [(machine.get("CPU", 0), machine.get("GPU", 0)) for machine in machines]
    if any(cpus >= config.cpus_per_run and gpus >= config.gpus_per_run for cpus, gpus in found):
        return
    needed = f"{config.cpus_per_run} CPU cores and {config.gpus_per_run:g} GPUs"
    cpus, gpus = map(max, zip(*found, strict=True))
    setting = "cpus_per_run" if cpus < config.cpus_per_run else "gpus_per_run"
    if not address:
        raise KselectError(
            f"A run reserves {needed}, but this machine has {cpus:g} and {gpus:g}: give a smaller {setting}.",
            setting=setting,
        )
    get_logger().warning(
        "A run reserves %s, which no machine of the cluster has: waiting for one. Add it with ray start --address, or "
        "stop and give a smaller %s.",
        needed,
        setting,
    )


def enter(folder: str, threads: int) -> None:
    """Go to the folder of the study, to which its paths may be relative.

    Raises:
        KselectError: this machine does not have it.
    """
    if not Path(folder).is_dir():
        raise KselectError(
            f"{folder} does not exist on {socket.gethostname()}: start the study in a folder on a file system that all "
            "machines of the cluster share."
        )
    os.chdir(folder)
    torch.set_num_threads(threads)
