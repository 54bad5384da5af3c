"""Tasks, one file each."""

from handlab_core.system.registry import import_modules
from handlab_core.tasks.task import TASKS, Start, Task, make_task

__all__ = ["TASKS", "Start", "Task", "make_task"]

import_modules(__name__, __path__)
