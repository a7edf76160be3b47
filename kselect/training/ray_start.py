"""Where Ray runs: a cluster, or this machine; and how a process of it joins a command."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import ray
import torch

from kselect.config import ResourceConfig
from kselect.errors import KselectError, first_line
from kselect.logging import get_logger

ADDRESS = "RAY_ADDRESS"
PATIENCE = 10.0
"""Seconds until a cluster must have answered."""
RETRIES = 3
"""How often a run whose process died is started again."""
STORE_BYTES = 100 * 2**20
"""Memory for objects where a study starts Ray; settings and results are small, and Ray takes a third of it all."""


def connect(config: ResourceConfig, runs: int, together: bool = False) -> None:
    """Connect to the cluster, or start Ray on this machine; without what a run reserves it would wait for ever.

    Args:
        config: What each run reserves.
        runs: How many are computed at a time.
        together: Whether none of them goes on without the others, so that there must be room for all.

    Raises:
        KselectError: Ray does not start here, there is no such cluster, or this machine has less than runs reserve.
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
                    num_cpus=runs * config.cpus_per_run,
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
    _check_room(config, runs if together else 1, address)


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
        f"Ray does not work with the cluster at {address} ({reason}): start it there with ray start, by the Ray and "
        f"Python of this environment, or correct {ADDRESS}; without {ADDRESS}, Ray is started on this machine."
    )


def _check_room(config: ResourceConfig, runs: int, address: str | None) -> None:
    """Refuse, or on a cluster that may grow, warn, where there is no room for so many runs at a time."""
    room = sum(room_on(node["Resources"], config) for node in ray.nodes() if node["Alive"])
    if room >= runs:
        return
    found = (
        f"{'The cluster' if address else 'This machine'} has room for {room} of {runs} runs at a time that reserve "
        f"{config.cpus_per_run} CPU cores and {config.gpus_per_run:g} GPUs each"
    )
    advice = "give a smaller cpus_per_run or gpus_per_run" + (", or fewer in parallel" if runs > 1 else "")
    if not address:
        raise KselectError(f"{found}: {advice}.", setting="gpus_per_run" if config.gpus_per_run else "cpus_per_run")
    get_logger().warning("%s: add machines with ray start, for which it waits, or %s.", found, advice)


def room_on(machine: Mapping[str, float], config: ResourceConfig) -> int:
    """Return how many runs there is room for on a machine; a share of a GPU is reserved on a single one.

    Args:
        machine: its numbers of resources by Ray's names, such as CPU and GPU.
        config: What each run reserves.
    """
    room, gpus = int(machine.get("CPU", 0) / config.cpus_per_run), machine.get("GPU", 0)
    if not config.gpus_per_run:
        return room
    shares = int(gpus) * int(1 / config.gpus_per_run) if config.gpus_per_run < 1 else int(gpus / config.gpus_per_run)
    return min(room, shares)


def enter(folder: str, threads: int) -> None:
    """Go to the folder where the command was given, to which its paths may be relative.

    Raises:
        KselectError: this machine does not have it.
    """
    if not Path(folder).is_dir():
        raise KselectError(
            f"{folder} does not exist on {socket.gethostname()}: start in a folder on a file system that all "
            "machines of the cluster share."
        )
    os.chdir(folder)
    torch.set_num_threads(threads)
