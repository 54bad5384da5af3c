"""A topic of a stored file, and the error of a file that ends early."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A topic as one file declares it."""

    name: str
    type: str
    encoding: str
    """Encoding of the messages; ROS 2 writes cdr."""
    definition: str
    definition_format: str
    """ros2msg or ros2idl; empty: the file brings no definition."""


class DamagedFile(Exception):  # noqa: N818  (`Bag` turns it into a note)
    """The present file or chunk cannot be read any further."""


def reason(error: BaseException) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
