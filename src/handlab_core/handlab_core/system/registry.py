"""Registries: dictionaries of builders, filled by a decorator."""

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Generic, TypeVar

from handlab_core.errors import UnknownName

T = TypeVar("T")


def import_modules(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that each registers its definitions.

    Args:
        package: name of the package.
        path: folders of the package, its `__path__`.
    """
    for module in pkgutil.iter_modules(path):
        import_module(f"{package}.{module.name}")


class Registry(dict[str, Callable[[], T]], Generic[T]):
    """Builders of one kind of thing, by name.

    Args:
        kind: name of the kind in error messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(self, build: Callable[[], T]) -> Callable[[], T]:
        """Register a builder under its own function name.

        Raises:
            KeyError: the name is taken.
        """
        if build.__name__ in self:
            other = self[build.__name__].__module__
            raise KeyError(f"{self.kind} {build.__name__!r} is already defined in {other}")
        self[build.__name__] = build
        return build

    def make(self, name: str) -> T:
        """Build the thing called `name`.

        Raises:
            UnknownName: there is none; the message lists the registered names.
        """
        if name not in self:
            raise UnknownName(self.kind, name, self)
        return self[name]()
