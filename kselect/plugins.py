"""Registries that other installed packages extend through entry points.

A package announces a kind of knowledge, an agent or a recipe in its `pyproject.toml`:

    [project.entry-points."kselect.agents"]
    neediest = "my_package.agents:Neediest"

Its name is then known to Python and to the commands. Nothing is imported before the name is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from kselect.errors import KselectError

T = TypeVar("T")


class PluginRegistry(MutableMapping[str, T]):
    """A mapping from names to values: those of this package, and those of an entry-point group.

    Installed packages are searched on the first use that the package's own names do not answer.

    Args:
        group: the entry-point group, such as "kselect.agents".
        builtin: the values of this package by name.
        load: returns the value of an entry point; called on each lookup of a plugin's name until one succeeds.

    Raises:
        KselectError: on first use, two packages that give the same name, or a package that gives a built-in one.
    """

    def __init__(self, group: str, builtin: Mapping[str, T], load: Callable[[EntryPoint], T]) -> None:
        self.group = group
        self._values = dict(builtin)
        self._load = load
        self._found: dict[str, EntryPoint] | None = None

    @property
    def plugins(self) -> dict[str, EntryPoint]:
        """The group's entry points by name."""
        if self._found is None:
            found: dict[str, EntryPoint] = {}
            for plugin in entry_points(group=self.group):
                other = found.get(plugin.name)
                if plugin.name in self._values:
                    raise KselectError(_clash(self.group, plugin, "kselect itself"))
                if other is not None and other.value != plugin.value:
                    raise KselectError(_clash(self.group, plugin, f"the package {distribution(other)}"))
                found[plugin.name] = plugin
            self._found = found
        return self._found

    def __getitem__(self, name: str) -> T:
        if name not in self._values:
            self._values[name] = self._load(self.plugins[name])
        return self._values[name]

    def __setitem__(self, name: str, value: T) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self.plugins

    def __iter__(self) -> Iterator[str]:
        plugins = self.plugins
        return iter([*self._values, *(name for name in plugins if name not in self._values)])

    def __len__(self) -> int:
        return len(list(iter(self)))


def plugin_names(group: str) -> list[str]:
    """Return the names that installed packages announce in an entry-point group, without importing anything."""
    return [plugin.name for plugin in entry_points(group=group)]


def load_plugin(plugin: EntryPoint) -> Any:
    """Import what an entry point names."""
    try:
        return plugin.load()
    except Exception as error:  # code of another package, which may fail in any way
        raise KselectError(
            f"The package {distribution(plugin)} announces {plugin.name} in {plugin.group}, and importing "
            f"{plugin.value} fails ({type(error).__name__}: {error}): update or uninstall that package."
        ) from error


def distribution(plugin: EntryPoint) -> str:
    """Return the name of the installed package that an entry point belongs to."""
    return plugin.dist.name if plugin.dist is not None else "(unknown)"


def _clash(group: str, plugin: EntryPoint, other: str) -> str:
    return (
        f"The package {distribution(plugin)} announces {plugin.name} in {group}, a name that {other} uses already: "
        "uninstall that package, or ask its authors to rename it."
    )
