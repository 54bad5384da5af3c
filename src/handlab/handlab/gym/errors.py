"""Errors of the environments; each is one of Gymnasium's, too."""

import gymnasium

# ruff: noqa: N818  (errors are named as Gymnasium names its own)
from handlab_core.errors import HandlabError


class BadArgument(HandlabError, gymnasium.error.Error, ValueError):
    """An argument of `reset` has a value that cannot be."""


class InvalidAction(HandlabError, gymnasium.error.InvalidAction):
    """An action has another shape than the action space, or is not finite."""


class ResetNeeded(HandlabError, gymnasium.error.ResetNeeded):
    """The call needs an episode that has begun and is not over."""


class EnvironmentClosed(HandlabError, gymnasium.error.ClosedEnvironmentError):
    """The environment is closed already."""
