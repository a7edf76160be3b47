"""Registration of `kselect/Distillation-v0` and `kselect/Replay-v0` with Gymnasium.

Gymnasium 1.0 dropped the entry points by which packages used to announce their environments; an id is known once the
package that registers it has been imported. This module does so without importing Gymnasium itself, which would load
NumPy in every command: where Gymnasium is not loaded yet, registration waits for its import.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

ENTRY_POINTS = {
    "kselect/Distillation-v0": "kselect.envs.registration:make_distillation_env",
    "kselect/Replay-v0": "kselect.collection.replay_env:ReplayEnv",
}


def install() -> None:
    """Register the environments now if Gymnasium is loaded, or else as soon as it is."""
    gymnasium = sys.modules.get("gymnasium")
    if gymnasium is not None and hasattr(gymnasium, "register"):
        register(gymnasium)
    elif not any(isinstance(finder, _GymnasiumFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _GymnasiumFinder())


def register(gymnasium: Any) -> None:
    """Add the environments' ids to Gymnasium's registry, once."""
    for name, entry_point in ENTRY_POINTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=entry_point)


class _GymnasiumFinder(MetaPathFinder):
    """Finds the module `gymnasium` as usual, with a loader that registers the environments after loading it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


class _RegisteringLoader(Loader):
    """Loads Gymnasium by its own loader, registers the environments, and leaves no trace on the module."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        register(module)
