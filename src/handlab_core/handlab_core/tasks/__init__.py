"""Tasks, one file each."""

from handlab_core.tasks import valve as _valve  # noqa: F401  (registers itself)
from handlab_core.tasks.task import TASKS, Start, Task, make_task

__all__ = ["TASKS", "Start", "Task", "make_task"]
