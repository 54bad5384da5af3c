"""The display of a training on a terminal."""

import sys
import time
from typing import Any

from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from handlab.operation.stop_key import StopKey
from handlab.reporting.earlier_runs import RobotTimeMeter
from handlab.reporting.terminal import console
from handlab_learning.algorithms import ALGORITHMS
from handlab_learning.algorithms.algorithm import Demonstrations
from handlab_learning.runs.config import RunConfig
from handlab_learning.runs.evaluation import rate_text

Row = dict[str, Any]

BARS = " ▁▂▃▄▅▆▇█"


def learned_text(hours: float | None, algorithm: str) -> str:
    """Return words for the robot-hours until a run had learned its task; None: it has not.

    Args:
        hours: from the first update to the first of a streak of good evaluations.
        algorithm: of the run.
    """
    if hours is None:
        return "not learned"
    if hours > 0:
        return f"learned after {hours:.2f} robot-hours"
    use = ALGORITHMS[algorithm].demonstrations if algorithm in ALGORITHMS else Demonstrations.NONE
    cloned = use is Demonstrations.REQUIRED
    return "learned by cloning alone, without robot time" if cloned else "needed no learning"


class TrainingDisplay:
    """A live panel on a terminal, a line per evaluation elsewhere.

    Args:
        config: of the run.
        meter: estimates the robot time to success; None: no estimate is shown.
    """

    def __init__(self, config: RunConfig, meter: RobotTimeMeter | None = None) -> None:
        self._config, self._meter = config, meter
        self._evaluations: list[float] = []
        self._row: Row = {}
        self._estimate = ""
        """Words of the robot time to success that were printed last."""
        self._best = 0  # iteration of the best policy so far
        self._began = time.monotonic()
        self._bar = Progress(
            TextColumn("robot-hours"),
            BarColumn(bar_width=40),
            TextColumn("{task.completed:.2f} of at most {task.total:.1f}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=config.max_hours)
        self.stop_key: StopKey | None = None
        """Emergency stop, whose keys and state are shown."""
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4)

    def __enter__(self) -> "TrainingDisplay":
        """Begin to show."""
        if console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state on the screen."""
        if console.is_terminal:
            self._live.stop()

    def update(self, row: Row) -> None:
        """Show a new row of metrics."""
        self._row = row
        if self._meter is not None:
            self._meter.update(row)
        for reason in row.get("left_out", ()):
            console.print(f"left out of learning: {reason}")
        self._bar.update(self._task, completed=row["robot_hours"])
        if (evaluation := row.get("evaluation")) is not None:
            self._evaluations.append(evaluation["success_rate"])
            self._best = int(row["best_iteration"] if "best_iteration" in row else row["iteration"])
            if not console.is_terminal:
                self._say(row, evaluation)

    def _say(self, row: Row, evaluation: Row) -> None:
        line = (
            f"iteration {row['iteration']:4d}  {row['robot_hours']:5.2f} robot-h  "
            f"return {evaluation['mean_return']:8.1f}  success {rate_text(evaluation):16}  "
            f"strict {evaluation['strict_success_rate']:4.0%}"
        )
        if "steps_per_s" in row:
            line += f"  {row['steps_per_s']:6.0f} steps/s"
        estimate = "" if self._meter is None else self._meter.text
        if estimate != self._estimate:  # what each line repeats is not read
            line, self._estimate = f"{line}  {estimate}".rstrip(), estimate
        print(line, file=sys.stderr, flush=True)

    def _table(self) -> Table:
        row, table = self._row, Table.grid(padding=(0, 2))
        config = self._config
        table.add_row(
            f"[bold]{config.task}[/] · {config.algorithm} · {config.backend} · seed {config.seed}"
        )
        table.add_row(self._bar)
        if self.stop_key is not None and self.stop_key.line:
            style = "bold red" if self.stop_key.stopped else "dim"
            table.add_row(f"[{style}]{self.stop_key.line}[/]")
        if not row:
            table.add_row("[dim]starting the graph, then the first episodes ...[/]")
            return table
        shown = {"iteration": f"{row['iteration']}"}
        if "mean_return" in row:  # else nothing acts: demonstrations are cloned
            shown |= {
                "return": f"{row['mean_return']:.0f}",
                "training success": f"{row['training_success_rate']:.0%}",
                "steps/s": f"{row['steps_per_s']:.0f}",
            }
        minutes = [f"{row[part] / 60:.1f} min" for part in ("experience_s", "reset_s")]
        shown["robot time: steps, resets"] = ", ".join(minutes)
        figures = Table.grid(padding=(0, 3))
        figures.add_row(*shown)
        figures.add_row(*(f"[bold]{text}[/]" for text in shown.values()))
        table.add_row(figures)
        if self._evaluations:
            bars = "".join(BARS[round(rate * (len(BARS) - 1))] for rate in self._evaluations[-60:])
            table.add_row(
                f"success in {config.evaluation_episodes} evaluation episodes "
                f"[bold green]{self._evaluations[-1]:.0%}[/]  [green]{bars}[/]"
            )
            table.add_row(f"best policy so far: iteration {self._best}")
        if self._meter is not None and self._meter.text:
            table.add_row(self._meter.text)
        return table
