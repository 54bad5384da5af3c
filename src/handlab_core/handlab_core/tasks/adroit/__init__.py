"""Tasks of the simulated Adroit hand."""

from handlab_core.system.registry import import_modules
from handlab_core.tasks.adroit.suite import NPG, SUITE, Held, SuiteTask, find_task

__all__ = ["NPG", "SUITE", "Held", "SuiteTask", "find_task"]

import_modules(__name__, __path__)
