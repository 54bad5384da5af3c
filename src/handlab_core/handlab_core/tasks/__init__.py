"""Tasks, one file each."""

from handlab_core.tasks import allegro_valve as _allegro_valve  # noqa: F401  (registers itself)
from handlab_core.tasks import flip as _flip  # noqa: F401  (registers itself)
from handlab_core.tasks import pose as _pose  # noqa: F401  (registers itself)
from handlab_core.tasks import valve as _valve  # noqa: F401  (registers itself)
from handlab_core.tasks import valve_foam as _valve_foam  # noqa: F401  (registers itself)
from handlab_core.tasks import valve_random as _valve_random  # noqa: F401  (registers itself)
from handlab_core.tasks import valve_tracking as _valve_tracking  # noqa: F401  (registers itself)
from handlab_core.tasks.task import TASKS, Start, Task, make_task

__all__ = ["TASKS", "Start", "Task", "make_task"]
