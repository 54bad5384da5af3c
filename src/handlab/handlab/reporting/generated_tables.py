"""Tables in README.md and docs/results.md, made from results/*.json.

`./handlab bench NAME --write` rewrites them. Everything between the marks of a table is replaced.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from handlab_core.system.files import read_json, write_atomically
from handlab_core.system.paths import share
from handlab_learning.runs.evaluation import INTERVAL, wilson_interval

BEGIN, END = "<!-- figures:begin (made from results/*.json) -->", "<!-- figures:end -->"

TASKS_BEGIN, TASKS_END = (
    "<!-- tasks:begin (made from results/tasks.json) -->",
    "<!-- tasks:end -->",
)

DEMOS_BEGIN, DEMOS_END = (
    "<!-- demos:begin (made from results/demos.json) -->",
    "<!-- demos:end -->",
)

ADROIT_BEGIN, ADROIT_END = (
    "<!-- adroit:begin (made from results/adroit.json) -->",
    "<!-- adroit:end -->",
)

ROBUST_BEGIN, ROBUST_END = (
    "<!-- robust:begin (made from results/adroit.json) -->",
    "<!-- robust:end -->",
)

INFERENCE_BEGIN, INFERENCE_END = (
    "<!-- inference:begin (made from results/inference.json) -->",
    "<!-- inference:end -->",
)

ESTIMATORS_BEGIN, ESTIMATORS_END = (
    "<!-- estimators:begin (made from results/estimators.json) -->",
    "<!-- estimators:end -->",
)

NOT_YET = "Not measured yet."

Result = Mapping[str, Any]
Results = Mapping[str, Result]


@dataclass(frozen=True)
class Row:
    """One figure."""

    bench: str
    what: str
    asked: str
    measured: Callable[[Result], str]
    """Empty: nothing of it was measured yet."""


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """All kept results by name."""
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def figures_table(results: Results, only: Collection[str] | None = None) -> str:
    """Return the table of figures, without those that were not measured.

    Args:
        results: kept results by name.
        only: names of the benches to show; None: all.
    """
    rows = ["| figure | asked | measured | command |", "|---|---|---|---|"]
    rows += (
        f"| {row.what} | {row.asked} | {measured} | `{r['command']}` |"
        for row in ROWS
        if only is None or row.bench in only
        if (r := results.get(row.bench)) is not None and (measured := row.measured(r))
    )
    machines = "; ".join(sorted({r["machine"] for r in results.values()}))
    foot = f"Measured on: {machines}. In brackets: intervals of rates ({INTERVAL})."
    return "\n".join([*rows, "", foot]) if results else NOT_YET


def _rate(verdict: Result, episodes: int | None = None, mark: str = "**") -> str:
    """A rate of success between marks, and its 95 % interval where that is known."""
    rate, count = verdict["success_rate"], episodes or verdict.get("episodes")
    text = f"{mark}{rate:.0%}{mark}"
    if count is None:
        return text
    low, high = wilson_interval(round(rate * count), count)
    return f"{text} [{low:.0%}, {high:.0%}]"


def _valve(r: Result) -> str:
    hours = ", ".join(_hours(h) for h in r["robot_hours_to_success"])
    through = f"{len(r['graph_seeds'])} of the seeds also through the graph"
    return f"**{_hours(r['value'])}** ({hours}); {through}"


def _strict(r: Result) -> str:
    return f"**{_hours(r['value'])}** ({', '.join(_hours(h) for h in r['robot_hours'])})"


def _demo(r: Result) -> str:
    return f"{_rate(r)}, **{r['value']:.1f} min**"


def _steps(r: Result) -> str:
    return f"**{r['ratio']:.2f}** ({r['value']:.0f} steps/s)"


def _graph(r: Result) -> str:
    turns = r["ratio_to_a_ring_that_takes_turns"]
    return f"{_steps(r)}; {turns:.2f} beside one whose processes take turns, as the graph's do"


def _parity(r: Result) -> str:
    return f"**{r['value']:.0f}** of {r['compared']} in {r['episodes']} episodes"


def _bus(r: Result) -> str:
    slow, fast = r["ratios"].values()
    return f"**{slow:.2f}**, **{fast:.2f}** ({r['value']:.2f} ms a cycle at 1 Mbaud)"


def _loop(r: Result) -> str:
    return f"**{r['ratio']:.2f}** ({r['value']:.2f} ms beside {r['limit']:.2f} ms)"


def _soak(r: Result) -> str:
    slowest = f"slowest report {r['report_s']['max']:.2f} s"
    faults = f"{sum(r['faults'].values())} faults in {r['minutes']:.0f} min"
    return f"**{r['value']:.0f}**; {faults}, {r['samples']} samples, {slowest}"


def _emulated(r: Result) -> str:
    return ", ".join(
        f"`{hand['task']}` **{hand['points']:.0f}** ({_rate(hand['emulated'], r['episodes'], '')} "
        f"beside {_rate(hand['simulated'], r['episodes'], '')})"
        for hand in r["hardware"].values()
    )


def _resets(r: Result) -> str:
    total = sum(task["resets"] for task in r["tasks"].values())
    return f"**{r['value']:.1%}**; {total} resets, {r['unclean_aborts']} without a clean end"


def _foam(r: Result) -> str:
    return f"**{r['value']:.0%}** ([curve](docs/objects.md#foam))"


def _demos(r: Result) -> str:
    told = []
    for task, row in r["tasks"].items():
        if "dapg" in row:
            hours = _hours(row["dapg"]["median_robot_hours_to_strict_success"])
            faster = f" ({r['speedups'][task]:.0f}x)" if task in r["speedups"] else ""
            told.append(f"`{task}` **{hours}**{faster}")
    return f"{', '.join(told)}; [more](docs/results.md#demonstrations-on-the-claw)" if told else ""


def _adroit(r: Result) -> str:
    told = [
        f"{task.removeprefix('adroit_')} {_rate(row['dapg'])}"
        for task, row in r["tasks"].items()
        if "dapg" in row
    ]
    return f"{', '.join(told)}; [more](docs/results.md#the-adroit-suite)" if told else ""


ROWS = (
    Row("valve", "robot-hours to turn the valve, resets counted, median of 5 seeds",
        "at most 3.5, each at most 6", _valve),
    Row("valve_strict", "the same by the strict criterion, 0.1 rad", "shown beside it", _strict),
    Row("demo", "`./handlab demo`: success, and minutes after set-up",
        "at least 90 %, under 6 min", _demo),
    Row("graph", "lockstep steps through the graph beside a bare ring of 4 processes",
        "ratio 0.6", _graph),
    Row("sim", "in-process steps at 64 worlds beside bare `mj_step`", "ratio 0.85", _steps),
    Row("parity", "numbers that differ between graph and process", "0", _parity),
    Row("bus", "cycle of 9 emulated servos beside their bytes' time on the wire, at 1 and 3 Mbaud",
        "ratio at most 1.25, 1.6", _bus),
    Row("loop", "the driver's period error at 100 Hz beside a bare sleeping loop, 99th percentile",
        "ratio at most 2", _loop),
    Row("soak", "an hour of faults on an emulated claw: what must not be", "0", _soak),
    Row("emulated", "policies on hands emulated to the wire: points of success from MuJoCo",
        "within 10 over 30 episodes", _emulated),
    Row("resets", "resets by motor that succeed, from wherever hands are left; the worst task",
        "at least 99.5 %", _resets),
    Row("foam", "a foam lobe's give in simulation beside a beam's of the same foam: difference",
        "at most 20 %", _foam),
    Row("demos", "robot-hours to strict success with 20 demonstrations, median of 5 seeds "
        "(times faster than from nothing)", "valve 0.4, flip 0.6; 8x", _demos),
    Row("adroit", "the Adroit suite by DAPG: success of 100 episodes",
        "90 % each, pen 80 %", _adroit),
)  # fmt: skip
"""All figures, in the order of the page."""

KEY_FIGURES = ("valve", "demo", "demos", "adroit", "emulated", "parity", "graph", "soak")
"""Benches whose figures the README shows."""


def _hours(hours: float | None) -> str:
    if hours == 0:
        return "0 h (cloning alone)"
    return "never" if hours is None or hours == float("inf") else f"{hours:.2f} h"


def readme(text: str, results: Results) -> str:
    """Return the README with its table made again."""
    return between(text, BEGIN, END, figures_table(results, KEY_FIGURES))


def _made(rows: list[str], result: Result) -> str:
    """A table, and below it the command that it is from."""
    return "\n".join([*rows, "", f"Made by `{result['command']}`."])


def tasks_table(results: Results) -> str:
    """The table of the tasks that were learned from nothing."""
    if (result := results.get("tasks")) is None:
        return NOT_YET
    rows = [
        "| task | hand | what | asked | robot-hours, median (seeds) | strict | post |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["tasks"].items():
        asked = "" if row["asked"] is None else f"at most {row['asked']:g} h"
        seeds = ", ".join(_hours(hours) for hours in row["robot_hours_to_success"])
        median = _hours(row["median_robot_hours_to_success"])
        strict = _hours(row["median_robot_hours_to_strict_success"])
        cells = (f"`{name}`", row["hand"], row["description"], asked, f"**{median}** ({seeds})")
        rows.append(f"| {' | '.join((*cells, strict, row['post']))} |")
    return _made(rows, result)


WAYS = {
    "dapg": "cloning, then DAPG",
    "bc": "cloning alone",
    "bc_npg": "cloning, then natural gradient without their term",
    "dapg_10": "DAPG, 10 demonstrations",
    "dapg_5": "DAPG, 5 demonstrations",
    "dapg_1": "DAPG, 1 demonstration",
    "noisy": "DAPG, noisy ones",
    "slow": "DAPG, slow ones",
    "failing": "DAPG, partly failed ones",
    "scratch": "from nothing, natural gradient",
}
"""What the variants of `handlab.benches.demos` are called."""


def demos_table(results: Results) -> str:
    """What demonstrations are worth, one row for each way to learn."""
    if (result := results.get("demos")) is None:
        return NOT_YET
    tasks = result["tasks"]
    head = [f"`{task}`: robot-hours, median (seeds) | strict success at the end" for task in tasks]
    rows = [f"| 20 demonstrations, unless said otherwise | {' | '.join(head)} |"]
    rows.append("|---" * (1 + 2 * len(tasks)) + "|")
    for name, called in WAYS.items():
        cells = [cell for task in tasks for cell in _way(tasks[task].get(name))]
        if any(cells):
            rows.append(f"| {called} | {' | '.join(cells)} |")
    return _made(rows, result)


def _way(row: Result | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    strict = fmean(row["strict_success_rate"])
    if row["algorithm"] == "bc":
        return "0, no robot", f"{strict:.0%}"
    seeds = ", ".join(_hours(hours) for hours in row["robot_hours_to_strict_success"])
    return f"**{_hours(row['median_robot_hours_to_strict_success'])}** ({seeds})", f"{strict:.0%}"


def adroit_table(results: Results) -> str:
    """The suite, one row for each task."""
    if (result := results.get("adroit")) is None:
        return NOT_YET
    rows = [
        "| task | asked | DAPG | iterations | robot-hours | minutes (CPU) | cloning alone "
        "| natural gradient from nothing | demonstrations |",
        "|---" * 9 + "|",
    ]
    for task, row in result["tasks"].items():
        if not row:
            continue
        rates = [
            _rate(row[name], mark="**" if name == "dapg" else "") if name in row else "not measured"
            for name in ("dapg", "bc", "npg")
        ]
        spent = ["", "", ""]
        if (dapg := row.get("dapg")) is not None:
            minutes = f"{dapg['wall_s'] / 60:.0f} ({dapg['cpu_s'] / 60:.0f})"
            spent = [f"{dapg['iterations']}", f"{dapg['robot_hours']:.2f}", minutes]
        dataset = row.get("dapg", row.get("bc", {"dataset": ""}))["dataset"]
        asked = f"{result['asked'][task]:.0%}"
        cells = (f"`{task}`", asked, rates[0], *spent, *rates[1:], dataset)
        rows.append(f"| {' | '.join(cells)} |")
    return _made(rows, result)


def robust_table(results: Results) -> str:
    """Success of policies of the suite over a range, learned with one object or with many."""
    tasks = results.get("adroit", {"tasks": {}})["tasks"]
    lines = []
    for task, row in tasks.items():
        learned = {"one object": row.get("dapg", {}), "many": row.get("dapg_varied", {})}
        for quantity in learned["one object"].get("vary", {}):
            values = [f"{value:g}" for value, _ in learned["one object"]["vary"][quantity]]
            lines += ["", f"| `{task}`, `{quantity}` | {' | '.join(values)} |"]
            lines.append("|---" * (1 + len(values)) + "|")
            for called, run in learned.items():
                if rates := [f"{rate:.0%}" for _, rate in run.get("vary", {}).get(quantity, [])]:
                    lines.append(f"| learned with {called} | {' | '.join(rates)} |")
    return "\n".join(lines).strip() or NOT_YET


INFERRED = {
    "next_position": "the next position itself",
    "servo": "with the servo's lag, without load",
    "loaded_servo": "with both: what is used",
}
"""What the ways of `handlab_core.demonstrations.action_inference` aim at."""


def inference_table(results: Results) -> str:
    """What the engaged hand makes of inferred actions, one row for each way to infer them."""
    if (result := results.get("inference")) is None:
        return NOT_YET
    tasks = ("valve", "flip")
    heads = " | ".join(f"`{task}`: replays that succeed (strictly)" for task in tasks)
    rows = [f"| name | target | {heads} |", "|---" * 4 + "|"]
    for name, target in INFERRED.items():
        found = [result[task][name] for task in tasks]
        cells = [f"{f['success_rate']:.0%} ({f['strict_success_rate']:.0%})" for f in found]
        rows.append(f"| `{name}` | {target} | {' | '.join(cells)} |")
    return _made(rows, result)


def between(text: str, begin: str, end: str, content: str) -> str:
    """Return a text in which everything between two marks is replaced."""
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


def estimators_table(results: Results) -> str:
    """Return the errors of the estimators, one row for each quantity."""
    if (result := results.get("estimators")) is None:
        return NOT_YET
    kinds = ("encoder", "camera")
    rows = [f"| | {' | '.join(kinds)} |", "|---" * 3 + "|"]
    for name, form, text in ESTIMATED:
        rows.append(f"| {text} | {' | '.join(form.format(result[k][name]) for k in kinds)} |")
    return _made(rows, result)


ESTIMATED = (
    ("rms_error", "{:.2g} rad", "error, root mean square"),
    ("p99_error", "{:.2g} rad", "error, 99th percentile"),
    ("max_error", "{:.2g} rad", "error, largest"),
    ("nis", "{:.2f}", "innovations squared, normalised (1 expected)"),
    ("nis_inside_95", "{:.0%}", "innovations within the 95 % bound"),
    ("nees", "{:.2f}", "errors squared, normalised (1 expected)"),
    ("success_rate", "{:.0%}", "success by the estimate"),
    ("true_success_rate", "{:.0%}", "success by the true angle"),
)
"""Quantities of `handlab.benches.estimators`: key, format, text."""


def results_page(text: str, results: Results) -> str:
    """Return the page of all results with its tables made again."""
    for begin, end, table in (
        (BEGIN, END, figures_table(results)),
        (TASKS_BEGIN, TASKS_END, tasks_table(results)),
        (DEMOS_BEGIN, DEMOS_END, demos_table(results)),
        (INFERENCE_BEGIN, INFERENCE_END, inference_table(results)),
        (ADROIT_BEGIN, ADROIT_END, adroit_table(results)),
        (ROBUST_BEGIN, ROBUST_END, robust_table(results)),
        (ESTIMATORS_BEGIN, ESTIMATORS_END, estimators_table(results)),
    ):
        text = between(text, begin, end, within_docs(table))
    return text


def within_docs(text: str) -> str:
    """Return a text for a page in docs/, in which links are relative to that folder."""
    return text.replace("](docs/results.md#", "](#").replace("](docs/", "](")


PAGES = {"README.md": readme, "docs/results.md": results_page}
"""Every page with generated tables, and the function that makes its tables again."""


def rewrite_pages() -> None:
    """Make the tables of all pages again."""
    results = read_results(share() / "results")
    for name, renew in PAGES.items():
        path = share() / name
        write_atomically(path, renew(path.read_text(), results))
