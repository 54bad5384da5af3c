"""`./handlab tasks`: list the tasks."""


def tasks() -> None:
    """List the tasks."""
    from handlab_core.tasks import TASKS
    from handlab_core.tasks.adroit import SUITE, find_task

    for name in [*sorted(TASKS), *SUITE]:
        task = find_task(name)
        rewards = ", ".join(f"{r}*" if r == task.reward else r for r in task.rewards)
        print(f"{name:20} {task.description} ({task.hand_name}; rewards: {rewards})")
