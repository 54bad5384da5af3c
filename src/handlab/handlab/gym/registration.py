"""Names of the environments in Gymnasium's registry."""

import gymnasium

from handlab_core.tasks import TASKS, Task, make_task


def register_envs() -> None:
    """Register one environment per task; importing `handlab.gym` does it."""
    for name in TASKS:
        environment = gym_id(make_task(name))
        if environment not in gymnasium.registry:
            gymnasium.register(
                environment,
                entry_point="handlab.gym:HandlabEnv",
                vector_entry_point="handlab.gym:HandlabVectorEnv",
                kwargs={"task": name},
            )


def gym_id(task: Task) -> str:
    """Return a task's name in Gymnasium: `handlab/<Hand><Task>-v0`."""
    words = f"{task.hand_name}_{task.name.removeprefix(task.hand_name + '_')}".split("_")
    return f"handlab/{''.join(word.capitalize() for word in words)}-v0"
