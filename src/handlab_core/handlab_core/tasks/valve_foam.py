"""Turn the valve of foam by half a turn (a task of the post): all but the object is as in `valve`.

| part        | value                                                                           |
|-------------|---------------------------------------------------------------------------------|
| observation | as `valve`: the hub's angle; how the lobes are bent is not seen                 |
| action      | as `valve`                                                                      |
| reward      | as `valve`                                                                      |
| start, goal | as `valve`                                                                      |
| end         | as `valve`                                                                      |
"""

from dataclasses import replace

from handlab_core.tasks.task import TASKS, Task
from handlab_core.tasks.valve import valve


@TASKS.register
def valve_foam() -> Task:
    """Build the half turn of the valve of foam."""
    return replace(
        valve(),
        name="valve_foam",
        description="turn a valve of soft foam by 180 degrees",
        fixture_name="valve_foam",
    )
