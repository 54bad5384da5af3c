"""Packages that only some verbs need, which `./handlab` installs when such a verb first starts."""

from collections.abc import Iterator
from contextlib import contextmanager

from handlab_core.errors import PackagesMissing


@contextmanager
def packages_of(group: str) -> Iterator[None]:
    """Import the packages of a group inside this context.

    Args:
        group: the part of `requirements-<group>.lock` that names the packages.

    Raises:
        PackagesMissing: a package is not installed, as in a program that began without `./handlab`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("handlab"):
            raise
        raise PackagesMissing(error.name, group) from None
