"""Exceptions that handlab raises.

HandlabError
├── UnknownName       a name that is not registered; lists the registered names
├── LayoutMismatch    a policy that reads another observation than the task gives
├── BadRun            a run folder or checkpoint that is missing, truncated or foreign
├── RunInUse          a run folder that another process is writing
├── CannotWrite       a file that the disk, the folder or the user's rights do not allow
├── PackagesMissing   a package of a group that is not installed; names the command
├── BadConfig         a value that is not allowed
├── RenderingUnavailable  this machine cannot draw off screen; names what to install
├── BadDemonstrations demonstrations that are missing, of another task, or contain no episode
├── StationFault      the robot, or its simulation, failed
│   ├── HandStopped   the emergency stop has released the hand; the episode is broken off
│   ├── HandWarm      the motors must rest before the next step
│   ├── RewardLost    the reward of a state is lost; the episode is broken off
│   └── ResetFailed   the reset gave up; names the joints
└── StationTimeout    an answer did not arrive in time; names the silent part
"""

# ruff: noqa: N818  (names state the fault; all are a HandlabError)

import errno
from collections.abc import Iterable

MOST_SHOWN = 80
"""Characters of a value in a message."""

MOST_SAID = 500
"""Characters of another program's words."""


def shown(value: object) -> str:
    """Return a value for a message, on one line and shortened."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a deep nesting
        return f"a very long {type(value).__name__}"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 4]} ..."


def said(text: str) -> str:
    """Return another program's words for a terminal: one line, shortened, nothing unprintable."""
    line = " ".join(text.split())
    line = line if len(line) <= MOST_SAID else f"{line[: MOST_SAID - 4]} ..."
    return printable(line)


def printable(text: str) -> str:
    """Return a text in which nothing acts on a terminal but the ends of its lines."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class HandlabError(Exception):
    """Base of all errors that handlab raises on purpose; shown to users without a traceback."""


class UnknownName(HandlabError):
    """A name that is not registered."""

    def __init__(self, kind: str, given: str, known: Iterable[str]) -> None:
        names = ", ".join(sorted(name for name in known if name))  # empty: the default
        super().__init__(f"unknown {kind} {shown(given)}; there is: {names or 'none'}")


class PackagesMissing(HandlabError):
    """A package is not installed that only some verbs need."""

    def __init__(self, package: str, group: str) -> None:
        super().__init__(
            f"the package {package} is not installed, which only some verbs need; install it with: "
            f".venv/bin/pip install -r requirements-{group}.lock"
        )


class LayoutMismatch(HandlabError):
    """A policy reads another observation than the task gives."""


class BadRun(HandlabError):
    """A run folder or checkpoint is missing, truncated or of another kind."""


class RunInUse(HandlabError):
    """Another process is writing a run folder."""


class CannotWrite(HandlabError):
    """A file cannot be written."""

    def __init__(self, path: object, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(f"cannot write {path}: {reason}{_REMEDIES.get(error.errno or 0, '')}")
        self.errno = error.errno


_REMEDIES = {
    errno.ENOSPC: "; free some space, or choose another disk",
    errno.EDQUOT: "; free some space, or choose another disk",
    errno.EFBIG: "; raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "; choose a folder on a disk that can be written",
    errno.EACCES: "; choose a folder that you may write, or change its rights",
    errno.EPERM: "; choose a folder that you may write, or change its rights",
    errno.ENOTDIR: "; a part of this path is a file: rename it, or choose another folder",
    errno.EEXIST: "; a part of this path is a file: rename it, or choose another folder",
    errno.EISDIR: "; it is a folder: choose the name of a file",
    errno.ENAMETOOLONG: "; choose a shorter name",
}
"""Remedies for the user, by error number."""


class BadConfig(HandlabError):
    """A setting has a value that is not allowed."""


class RenderingUnavailable(HandlabError):
    """Pictures cannot be drawn on this machine."""


class BadDemonstrations(HandlabError):
    """Demonstrations are missing, or cannot be learned from."""


class StationFault(HandlabError):
    """The robot, or its simulation, failed."""


class HandStopped(StationFault):
    """The emergency stop has released the hand; see `Station.await_engaged`."""

    MESSAGE = "the hand was stopped: engage it again to go on"

    def __init__(self) -> None:
        super().__init__(self.MESSAGE)


class HandWarm(StationFault):
    """The motors must cool before the next step; see `Station.rest`."""


class RewardLost(StationFault):
    """The reward of a state is missing, while rewards of newer states have arrived."""


class ResetFailed(StationFault):
    """The reset gave up."""

    def __init__(self, message: str, failed_joints: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.failed_joints = tuple(failed_joints)


class StationTimeout(HandlabError):
    """An answer did not come in time."""
