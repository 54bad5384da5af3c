"""The report of a run: a curve, a video and a page that holds both."""

import base64
import html
import json
import shlex
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from handlab.reporting import video
from handlab.reporting.learning_curves import save_figure
from handlab.reporting.progress import learned_text
from handlab_core.errors import BadRun
from handlab_core.system.files import read_text, write_atomically
from handlab_core.tasks.adroit import find_task
from handlab_learning.runs.checkpoint import BEST, LAST
from handlab_learning.runs.directory import RunFolder
from handlab_learning.runs.evaluation import INTERVAL

INK, GREEN, BLUE, GREY, RED = "#1f2933", "#2f9e58", "#2b6cb0", "#9aa5b1", "#c53030"

STYLE = """
:root { color-scheme: light }
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.lead { color: #52606d; margin-top: 0 }
.figures { display: grid; gap: .8rem; margin: 1.5rem 0 }
.figures { grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)) }
.figure { background: #f3f5f7; border-radius: .5rem; padding: .8rem 1rem }
.figure b { display: block; font-size: 1.5rem } .figure span { color: #52606d; font-size: .9rem }
img, video { max-width: 100%; border-radius: .5rem }
pre { background: #f3f5f7; padding: 1rem; border-radius: .5rem }
pre { overflow-x: auto; font-size: .85rem }
.missing { background: #fff4e5; padding: .8rem 1rem; border-radius: .5rem }
"""


def write(folder: RunFolder) -> Path:
    """Write learning_curve.png, video.mp4 and report.html into a finished run's folder.

    Where no video can be made the page says why.

    Returns:
        The page's path.

    Raises:
        BadRun: the run has not ended, or its folder is damaged; nothing is written then.
        CannotWrite: the disk, the folder or the user's rights do not allow it.
    """
    summary, rows, config = (
        folder.summary(),
        folder.metrics(),
        read_text(folder.config_path, BadRun),
    )
    curve, film = folder.path / "learning_curve.png", folder.path / "video.mp4"
    plot(rows, summary, curve)
    no_video = video.render(folder.path, film, int(summary["seed"]))
    page = folder.path / "report.html"
    write_atomically(
        page, _page(summary, config, curve, film if no_video is None else None, no_video)
    )
    return page


def plot(rows: list[dict[str, Any]], summary: dict[str, Any], path: Path) -> None:
    """Draw success, return and, where they are known, temperatures over robot-hours."""
    warmth = [(row["robot_hours"], row["temperatures"]) for row in rows if "temperatures" in row]
    helped = [
        (row["robot_hours"], row["intervention_rate"]) for row in rows if "intervention_rate" in row
    ]
    heights = (3, 2, *[2] * (bool(helped) + bool(warmth)))
    figure, axes_of = plt.subplots(
        len(heights), 1, figsize=(9, 2 * sum(heights) / 1.7), sharex=True, height_ratios=heights
    )
    top, bottom = axes_of[:2]
    task = find_task(summary["task"])
    judged = [(row["robot_hours"], row["evaluation"]) for row in rows if "evaluation" in row]
    hours = [h for h, _ in judged]
    top.plot(hours, [100 * e["success_rate"] for _, e in judged], color=GREEN, marker="o", ms=3,
             label=str(task.success))  # fmt: skip
    top.plot(hours, [100 * e["strict_success_rate"] for _, e in judged], color=BLUE, lw=1,
             label=f"strict: {task.strict}")  # fmt: skip
    known = [(h, e) for h, e in judged if {"success_rate_low", "success_rate_high"} <= e.keys()]
    ends = ([100 * e[f"success_rate_{end}"] for _, e in known] for end in ("low", "high"))
    top.fill_between([h for h, _ in known], *ends, color=GREEN, alpha=0.12, lw=0, label=INTERVAL)
    if (reached := summary["robot_hours_to_success"]) is not None:
        top.axvline(reached, color=GREY, ls=":")
        words = f" {learned_text(reached, summary['algorithm'])} "
        top.annotate(words, (reached, 4), color=INK, ha="right" if reached > 0 else "left")
    top.set(ylabel="evaluation episodes [%]", ylim=(-3, 103))
    top.legend(frameon=False, loc="upper left")
    returns = [(row["robot_hours"], row["mean_return"]) for row in rows if "mean_return" in row]
    bottom.plot([h for h, _ in returns], [value for _, value in returns], color=INK, lw=1)
    bottom.set(ylabel="mean return")
    if warmth and (joints := task.thermometers):
        if any(len(t) != len(joints) for _, t in warmth):
            raise BadRun(f"a row of metrics has not {len(joints)} temperatures, one for each joint")
        _plot_temperatures(axes_of[-1], warmth, joints)
    if helped:
        axes = axes_of[2]
        axes.plot([h for h, _ in helped], [100 * rate for _, rate in helped], color=INK, lw=1)
        axes.set(ylabel="interventions [% of steps]", ylim=(-3, 103))
    axes_of[-1].set(xlabel="robot-hours, resets counted")
    for axes in axes_of:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    top.set_title(
        f"{summary['task']} by {summary['algorithm']}, seed {summary['seed']}", loc="left"
    )
    figure.tight_layout()
    save_figure(figure, path)


def _plot_temperatures(
    axes: Axes, warmth: list[tuple[float, list[float]]], joints: tuple[str, ...]
) -> None:
    """Draw the hottest joint on top of the others."""
    hours, temperatures = [h for h, _ in warmth], np.array([t for _, t in warmth])
    hottest = int(temperatures.max(axis=0).argmax())
    axes.plot(hours, temperatures, color=GREY, lw=0.8)
    axes.plot(hours, temperatures[:, hottest], color=RED, lw=1.5, label=joints[hottest])
    axes.set(ylabel="joints [°C]")
    axes.legend(frameon=False, loc="upper left")


def _page(
    summary: dict[str, Any], config: str, curve: Path, film: Path | None, no_video: str | None
) -> str:
    hours = summary["robot_hours_to_success"]
    strict = summary["robot_hours_to_strict_success"]
    episodes = f"in {summary['evaluation_episodes']} episodes"
    figures = [
        (f"{summary['success_rate']:.0%}", f"success {episodes}{_interval(summary)}"),
        (
            f"{summary['strict_success_rate']:.0%}",
            f"strict success{_interval(summary, 'strict_success_rate')}",
        ),
        *_policies(summary),
        (_hours(hours, summary["algorithm"]), "robot time until learned"),
        (_hours(strict, summary["algorithm"]), "robot time until strict"),
        (f"{summary['robot_hours']:.2f} h", "robot time in all, resets counted"),
        (f"{summary['wall_s'] / 60:.1f} min", "on this machine's clock"),
    ]
    cards = "".join(f"<div class=figure><b>{b}</b><span>{s}</span></div>" for b, s in figures)
    if film is not None:
        source = f"data:video/mp4;base64,{_base64(film)}"
        moving = f"<video controls autoplay muted loop playsinline src='{source}'></video>"
    else:
        remedy = (
            "Free some space"
            if "cannot write" in str(no_video)
            else "Install EGL or OSMesa (Debian: libegl1 and libgl1-mesa-dri, or libosmesa6)"
        )
        moving = (
            f"<p class=missing>No video: {html.escape(str(no_video))}. {remedy}, then: "
            f"<code>./handlab report {html.escape(shlex.quote(str(summary['run_dir'])))}</code></p>"
        )
    title = html.escape(f"{summary['task']} by {summary['algorithm']}")
    settings = html.escape(config)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>handlab: {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>
<body>
<h1>{title}</h1><p class="lead">seed {summary["seed"]}, episodes from: {summary["backend"]}</p>
<div class="figures">{cards}</div>
<h2>The learned policy</h2>{moving}
<h2>How it was learned</h2><img alt="learning curve" src="data:image/png;base64,{_base64(curve)}">
<h2>Settings</h2><pre>{settings}</pre>
<h2>All figures</h2><pre>{html.escape(json.dumps(summary, indent=1))}</pre>
</body></html>
"""


def _hours(hours: float | None, algorithm: str) -> str:
    if hours == 0:
        return learned_text(hours, algorithm)
    return "not yet" if hours is None else f"{hours:.2f} h"


def _interval(verdict: dict[str, Any], name: str = "success_rate") -> str:
    """Return the interval of a rate, if it is known: `; 95 %: 70% to 95%`."""
    low, high = verdict.get(f"{name}_low"), verdict.get(f"{name}_high")
    if low is None or high is None:
        return ""
    return f"; {verdict.get('interval', INTERVAL)}: {low:.0%} to {high:.0%}"


def _policies(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the policies that a run keeps, and its first policy."""
    if BEST not in summary or LAST not in summary:  # a run from before both were kept
        return [("last", "policy of these figures, and of the video")]
    best, last, initial = summary[BEST], summary[LAST], summary.get("initial")
    figures = [
        (f"iteration {best['iteration']}", "best policy: of these figures, and of the video"),
        (
            f"{last['success_rate']:.0%}",
            f"success of the last policy, iteration {last['iteration']}{_interval(last)}",
        ),
    ]
    if initial is not None:
        figures.append(
            (f"{initial['success_rate']:.0%}", f"success before the first update, "
             f"{initial.get('episodes', '?')} episodes{_interval(initial)}")
        )  # fmt: skip
    return figures


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
