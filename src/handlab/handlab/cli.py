"""The command line: `./handlab VERB`."""

import importlib.metadata
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by numpy and torch when they are imported
os.environ["MPLBACKEND"] = "agg"  # figures are files; matplotlib fails at unknown names

import typer

from handlab.graph import ros_environment
from handlab.options import (
    Episodes,
    Minutes,
    Points,
    Poses,
    Speed,
    Torque,
    Worlds,
    argument,
    option,
    path_argument,
    path_option,
)
from handlab.reporting.terminal import PROGRAM, command, console, show
from handlab_core.errors import BadConfig, CannotWrite, HandlabError
from handlab_core.hardware.backend_table import DEFAULT
from handlab_core.system import validation
from handlab_core.system.files import shown_path
from handlab_core.system.lifeline import leave
from handlab_core.system.paths import share
from handlab_core.system.validation import Count, Fraction, Index, NotNegative, Positive, Text

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

LONGEST_LINE = 400
"""Characters of a message about the command line."""


def _version(wanted: bool) -> None:
    if wanted:
        print(f"handlab {importlib.metadata.version('handlab')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Teach a robot hand a skill, on MuJoCo or on the real thing."""


AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object, last.")]
Seed = Annotated[int, option(validation.Seed, "Fixes starts, goals and noise.")]
TaskName = Annotated[str, argument(Text, "See `./handlab tasks`.")]
Hardware = Annotated[str, option(Text, "mujoco, dynamixel or allegro")]
StationFile = Annotated[str, path_option("Station file; default: config/hands/<hand>.yaml")]
Port = Annotated[str, path_option("In place of the station file's; emulated: no hand needed")]
Estimator = Annotated[str, option(Text, "What follows the object: encoder or camera")]
Vary = Annotated[
    list[str] | None,
    option(Text, "name=value, name=lower:upper or name=a,b,c; docs/variations.md", "--vary"),
]


def _ask_for_network(wanted: bool) -> bool:
    """Have every graph of this process, and of those that it starts, reach other machines."""
    if wanted:
        os.environ["HANDLAB_NETWORK"] = "1"
    return wanted


Network = Annotated[
    bool,
    typer.Option(
        "--network",
        help="Let other machines join the graph, and command the hand; default: this one alone",
        callback=_ask_for_network,
    ),
]
Settings = Annotated[
    list[str] | None,
    option(Text, "A setting of the algorithm: name=value, more than once.", "--set"),
]


Compose = Annotated[
    bool, typer.Option(help="Run the nodes of every step in one process, which is faster")
]


@app.command()
def demo(
    seed: Seed = 0,
    as_json: AsJson = False,
    viewer: bool = False,
    compose: Compose = False,
    network: Network = False,
) -> None:
    """Learn to turn the valve through the ROS graph on MuJoCo, evaluate, write the report."""
    from handlab_learning.runs.config import RunConfig

    config = RunConfig(task="valve", backend="graph", seed=seed, until="success")
    _train(config, as_json, viewer=viewer, compose=compose)


@app.command()
def train(
    task: Annotated[str, argument(Text, "See `./handlab tasks`; not needed with --resume.")] = "",
    algorithm: Annotated[
        str, option(Text, "npg: from nothing; bc, dapg: from demonstrations")
    ] = "npg",
    demos: Annotated[
        str, path_option("A bag (default: the task's own), or a Minari dataset for adroit_*")
    ] = "",
    backend: Annotated[str, option(Text, "graph: the ROS nodes; sim: this process")] = "graph",
    hardware: Hardware = DEFAULT,
    station: StationFile = "",
    port: Port = "",
    estimator: Estimator = "encoder",
    reward: Annotated[str, option(Text, "Reward variant; default: the task's own")] = "",
    max_hours: Annotated[float, option(Positive, "Robot-hours, resets counted")] = 6.0,
    until: Annotated[str, option(Text, "success, strict or hours: when to stop")] = "strict",
    resume: Annotated[Path | None, path_option("Go on with the run in this folder")] = None,
    settings: Settings = None,
    vary: Vary = None,
    seed: Seed = 0,
    worlds: Annotated[int, option(Worlds, "Side by side, with --backend sim")] = 20,
    viewer: Annotated[
        bool, typer.Option(help="Watch in the browser, with --backend graph")
    ] = False,
    compose: Compose = False,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Learn a task, from nothing or from demonstrations."""
    from handlab.experiments.demonstrations import source
    from handlab_learning.runs.config import RunConfig, parse_settings

    if resume is not None:
        _train(None, as_json, resume, worlds, viewer, compose)
        return
    if not task:
        raise BadConfig("name a task (see `handlab tasks`), or a run folder with --resume")
    config = RunConfig(
        task, reward, algorithm, backend, estimator, seed=seed, max_hours=max_hours, until=until,
        hardware=hardware, station=station, port=port, vary=vary or [],
        demos=source(task, algorithm, demos),
        settings=parse_settings(settings or []),
    )  # fmt: skip
    _train(config, as_json, None, worlds, viewer, compose)


def _train(
    config: Any,
    as_json: bool,
    resume: Path | None = None,
    worlds: int = 20,
    viewer: bool = False,
    compose: bool = False,
) -> None:
    from handlab.experiments import training
    from handlab.reporting import run_report
    from handlab.reporting.progress import learned_text
    from handlab_learning.runs.directory import RunFolder
    from handlab_learning.runs.evaluation import rate_text

    folder = RunFolder(resume) if resume is not None else training.new_run(config)
    show(f"run folder: {folder.path}")
    try:
        summary = training.train(folder, resume is not None, worlds, viewer=viewer, compose=compose)
    except (KeyboardInterrupt, SystemExit, HandlabError):
        if folder.config_path.is_file():
            show(f"go on with: {command('train', '--resume', folder.path)}")
        raise
    try:
        page = run_report.write(folder)
    except CannotWrite:
        show(f"the run has ended; write its report with: {command('report', folder.path)}")
        raise
    show(f"report: {page}")
    learned = learned_text(summary["robot_hours_to_success"], summary["algorithm"])
    print(
        f"{summary['task']}: {learned}; success {rate_text(summary)} of "
        f"{summary['evaluation_episodes']} episodes (strict {summary['strict_success_rate']:.0%}), "
        f"{summary['robot_hours']:.2f} robot-hours in {summary['wall_s'] / 60:.1f} min"
    )
    best, last = summary["best"], summary["last"]
    print(
        f"handed out: the best policy, iteration {best['iteration']}, success {rate_text(best)}; "
        f"the last, iteration {last['iteration']}: {rate_text(last)} ({summary['interval']})"
    )
    _finish(summary, as_json)


@app.command()
def evaluate(
    checkpoint: Annotated[Path, path_argument("A run folder, or a checkpoint in one")],
    episodes: Annotated[int, option(Episodes)] = 30,
    backend: Annotated[str, option(Text, "graph or sim; hardware needs the graph")] = "sim",
    hardware: Hardware = DEFAULT,
    station: StationFile = "",
    port: Port = "",
    estimator: Estimator = "encoder",
    vary: Vary = None,
    points: Annotated[int, option(Points, "Of each range that is varied, with its ends")] = 5,
    policy: Annotated[
        str, option(Text, "best or last, of a run; default: the best, if the run keeps one")
    ] = "",
    seed: Seed = 0,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Run a policy without noise and print how often it succeeds."""
    from handlab.experiments import evaluation, robustness
    from handlab.graph.config import GraphConfig, on_machine
    from handlab_core.errors import UnknownName
    from handlab_core.hardware.backend_table import backend_spec
    from handlab_core.tasks.variation import parse_variations
    from handlab_learning.runs.config import BACKENDS
    from handlab_learning.runs.evaluation import rate_text

    if backend not in BACKENDS:
        raise UnknownName("backend", backend, BACKENDS)
    pace = backend_spec(hardware).learning_pace
    graph = on_machine(GraphConfig(pace=pace, estimator=estimator), hardware, station, port)
    here = backend == "sim" and graph.simulated
    if vary and not here:
        raise BadConfig("what varies is simulated in this process: leave --backend and --hardware")
    if vary:
        variations = parse_variations(vary)
        verdict = robustness.evaluate_varied(
            checkpoint, variations, points, episodes, seed, estimator, policy=policy,
            hardware=hardware,
        )  # fmt: skip
        for name, rows in verdict["vary"].items():
            print("\n".join(robustness.table_lines(name, rows)))
            print(f"plot: {verdict['plots'][name]}")
    else:
        verdict = evaluation.evaluate(
            checkpoint, episodes, seed, None if here else graph, estimator=estimator, policy=policy,
            hardware=hardware,
        )  # fmt: skip
    print(
        f"policy: {verdict['policy']}, iteration {verdict['iteration']} ({verdict['checkpoint']})"
    )
    print(
        f"success {rate_text(verdict)} (strict {rate_text(verdict, 'strict_success_rate')}) "
        f"of {verdict['episodes']} episodes, mean return {verdict['mean_return']:.1f}; "
        f"intervals: {verdict['interval']}"
    )
    _finish(verdict, as_json)


@app.command()
def up(
    task: TaskName,
    hardware: Hardware = DEFAULT,
    station: StationFile = "",
    port: Port = "",
    estimator: Estimator = "encoder",
    pace: Annotated[str, option(Text, "real or lockstep")] = "real",
    rate: Annotated[float, option(Positive, "Hz, of the driver, in pace real")] = 100.0,
    reward: Annotated[str, option(Text, "Reward variant; default: the task's own")] = "",
    viewer: Annotated[bool, typer.Option(help="Serve the browser viewer")] = False,
    compose: Compose = False,
    bag: Annotated[str, path_option("Folder of the recording; a bag there is replaced")] = "",
    network: Network = False,
) -> None:
    """Start a task's graph of nodes and show what they say; Ctrl-C stops it."""
    from handlab.graph.config import GraphConfig, build_graph, on_machine
    from handlab.graph.processes import Graph
    from handlab.graph.ros_domain import Domain
    from handlab_data.bag_folder import check_bag_folder

    if bag:
        check_bag_folder(Path(bag))

    config = GraphConfig(
        task, pace=pace, rate=rate, reward=reward, bag=bag, viewer=viewer, estimator=estimator,
        compose=compose,
    )  # fmt: skip
    nodes = build_graph(on_machine(config, hardware, station, port))
    with suppress(KeyboardInterrupt), Graph(nodes, sys.stdout, Domain()) as graph:
        console.print(f"ROS_DOMAIN_ID={graph.domain}: {', '.join(graph.names)}")
        from handlab.graph.live_diagnostics import follow  # while the nodes start

        follow(graph, show)


@app.command()
def emulate(
    wire: Annotated[str, argument(Text, "dynamixel or allegro")] = "dynamixel",
    station: StationFile = "",
    port: Annotated[str, path_option("Where it is found; default: a new port")] = "",
    interface: Annotated[str, option(Text, "allegro: of python-can")] = "",
    channel: Annotated[str, option(Text, "allegro: of the interface")] = "",
    seed: Seed = 0,
) -> None:
    """Emulate a hand's motors down to the wire, with MuJoCo behind them, until Ctrl-C."""
    from handlab.emulation.emulated_hands import can_port, make_emulated, serve
    from handlab.graph.config import EMULATED, GraphConfig, on_machine
    from handlab_core.errors import BadConfig
    from handlab_core.hardware.backend_table import emulator_spec
    from handlab_hardware.station_file import station_path

    spec = emulator_spec(wire)
    if (interface or channel) and (spec.port != "can" or port):
        raise BadConfig("--interface and --channel are of an Allegro hand, and in place of --port")
    chosen = on_machine(GraphConfig(pace="real"), wire, station, EMULATED)
    default = can_port(interface, channel) if spec.port == "can" else chosen.port
    path = Path(station or station_path(spec.emulated_hand))
    motors = make_emulated(wire, path, port or default, chosen.fixture_port, seed)
    print(f"{motors.name}; Ctrl-C ends it", flush=True)
    serve(motors)


@app.command()
def record(
    task: TaskName,
    episodes: Annotated[int, option(Episodes)] = 20,
    teacher: Annotated[str, option(Text, "person, or script: only with MuJoCo")] = "",
    bag: Annotated[Path | None, path_option("Folder of the recording")] = None,
    hardware: Hardware = DEFAULT,
    station: StationFile = "",
    port: Port = "",
    estimator: Estimator = "encoder",
    pace: Annotated[str, option(Text, "real or lockstep; default: whichever is possible")] = "",
    hold: Annotated[
        float, option(Torque, "N m, with which passive joints resist; 0 lets them fall")
    ] = 0.0,
    speed: Annotated[float, option(Speed, "Of the script, times its own")] = 1.0,
    noise: Annotated[float, option(NotNegative, "Of the script's hand, rad")] = 0.02,
    failures: Annotated[float, option(Fraction, "Part that the script breaks off")] = 0.0,
    keep: Annotated[bool, typer.Option(help="Accept what the script fails at, too")] = False,
    viewer: bool = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Record demonstrations: the hand is let go, and a person or the script guides it."""
    from handlab.graph.config import PERSON, SCRIPT, GraphConfig, on_machine
    from handlab.teaching import record_and_replay
    from handlab_core.hardware.backend_table import backend_spec

    spec = backend_spec(hardware)
    teacher = teacher or (SCRIPT if spec.simulated else PERSON)
    pace = pace or (spec.learning_pace if teacher == SCRIPT else "real")
    teacher_config = (
        {"speed": speed, "noise": noise, "failures": failures} if teacher == SCRIPT else {}
    )
    folder = bag or record_and_replay.new_bag(task)
    config = GraphConfig(
        task, pace=pace, bag=str(folder), viewer=viewer, estimator=estimator, teacher=teacher,
        teacher_config=teacher_config,
    )  # fmt: skip
    figures = record_and_replay.record(
        on_machine(config, hardware, station, port), episodes, seed, keep, hold
    )
    print(f"{figures['episodes']} of {episodes} demonstrations accepted: {figures['bag']}")
    _finish(figures, as_json)


@app.command()
def replay(
    bag: Annotated[Path, path_argument("Folder of a recording")],
    way: Annotated[str, option(Text, "hand, look: only show; data: only compute", "--on")] = (
        "look"
    ),
    episode: Annotated[list[int] | None, option(Index, "Numbers; default: all")] = None,
    reset: Annotated[bool, typer.Option(help="Bring the hand to the start first")] = True,
    hardware: Hardware = DEFAULT,
    station: StationFile = "",
    port: Port = "",
    estimator: Estimator = "encoder",
    pace: Annotated[str, option(Text, "real or lockstep")] = "real",
    viewer: Annotated[bool, typer.Option(help="Serve the browser viewer")] = True,
    as_json: AsJson = False,
    network: Network = False,
) -> None:
    """Repeat the demonstrations of a bag: in the viewer, on a hand, or as data."""
    from handlab.graph.config import LOOK, REPLAYS, GraphConfig, on_machine
    from handlab.teaching import record_and_replay
    from handlab_core.errors import UnknownName
    from handlab_data.demonstration_reader import read_recording

    if way not in (*REPLAYS, "data"):
        raise UnknownName("way to replay", way, (*REPLAYS, "data"))
    recorded = read_recording(bag)
    task, numbers = recorded.session.task, recorded.choose(episode or [])
    if way == "data":
        figures = record_and_replay.as_data(recorded, episode or [])
        for line in figures["episodes"]:
            print("  ".join(f"{name} {value}" for name, value in line.items()))
        _finish(figures, as_json)
        return
    config = GraphConfig(
        task, pace="real" if way == LOOK else pace, viewer=viewer, estimator=estimator, replay=way
    )
    chosen = config if way == LOOK else on_machine(config, hardware, station, port)
    figures = record_and_replay.replay(chosen, bag, numbers, reset)
    ends = ", ".join(f"{error:.2f}" for error in figures["object_errors"])
    print(
        f"{figures['episodes']} demonstrations replayed"
        + ("" if way == LOOK else f"; the object ended {ends} rad from where it had")
    )
    _finish(figures, as_json)


@app.command()
def gait(
    task: TaskName,
    poses: Annotated[int, option(Poses, "In a cycle")] = 4,
    alike: Annotated[bool, typer.Option(help="All fingers do the same, one after another")] = False,
    generations: Annotated[int, option(Count)] = 220,
    replay_weight: Annotated[float, option(NotNegative, "Of what the engaged hand repeats")] = 1.0,
    start: Annotated[str, option(Text, "A task whose gait to begin from")] = "",
    output: Annotated[
        Path | None, path_option("File to write; default: gaits/<time>-<task>.json")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Replace the task's own gait, if this one is better")
    ] = False,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Search a gait for the scripted teacher of a task; the task's own stays as it is."""
    from rich.progress import Progress

    from handlab.teaching.gait_search import SearchConfig, default_output, search_gait
    from handlab_core.demonstrations.gait import load_gait
    from handlab_core.tasks import make_task

    chosen = make_task(task)
    begun = make_task(start) if start else None
    first = load_gait(begun) if begun else None
    config = SearchConfig(
        len(first.poses) if first else poses, alike, generations=generations, seed=seed,
        spread=0.1 if first else 0.6, replay_weight=replay_weight,
    )  # fmt: skip
    with Progress(console=console) as bar:
        shown = bar.add_task("generations", total=generations)

        def on_generation(number: int, cost: float) -> None:
            bar.update(shown, completed=number + 1, description=f"cost {cost:.2f} rad")

        found = search_gait(
            chosen, config, output or default_output(chosen), keep,
            ["./handlab", *sys.argv[1:]], begun, on_generation,
        )  # fmt: skip
    print(f"cost {found.cost:.3f} rad: {found.file}")
    if found.own_cost is not None:
        print(f"cost {found.own_cost:.3f} rad: the gait that {task} had, by the same measure")
    advice = "" if keep else "; --keep replaces it by a better one"
    print(f"{task} has the new gait now" if found.kept else f"{task} keeps its own gait{advice}")
    _finish({**vars(found), "file": str(found.file)}, as_json)


@app.command()
def bench(
    name: Annotated[str, argument(Text, "Name of the measurement")],
    as_json: AsJson = False,
    seed: Seed = 0,
    write: Annotated[bool, typer.Option(help="Keep the result in results/")] = False,
    minutes: Annotated[float | None, option(Minutes, "Duration of pace and soak")] = None,
    hardware: Annotated[str | None, option(Text, "Of pace: mujoco, dynamixel")] = None,
    port: Annotated[str | None, path_option("Of pace's hardware; emulated: no hand")] = None,
    compose: Annotated[bool | None, typer.Option(help="Of parity: see train")] = None,
) -> None:
    """Measure something beside its limit, in one run."""
    from handlab.benches import BENCHES, run_bench

    given = {"minutes": minutes, "hardware": hardware, "port": port, "compose": compose}
    options = {key: value for key, value in given.items() if value is not None}
    result = run_bench(name, BENCHES, seed, write, options)
    print(
        f"{name}: {result['value']:.4g} {result['unit']}, limit {result['limit']:.4g}, "
        f"ratio {result['ratio']:.3f}"
    )
    _finish(result, as_json)


@app.command()
def report(run: Annotated[Path, path_argument("Folder of a finished run")]) -> None:
    """Write the report of a finished run again."""
    from handlab.reporting import run_report as reports
    from handlab_learning.runs.directory import RunFolder

    print(reports.write(RunFolder(run)))


@app.command()
def compare(
    runs: Annotated[list[Path], path_argument("Folders of finished runs")],
    output: Annotated[
        Path | None, path_option("The picture to write, a PNG; default: figures only")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the learning curves of runs; runs that differ in the seed alone become one."""
    from handlab.reporting import compare as comparison
    from handlab.reporting.progress import learned_text

    figures = comparison.compare(runs, output)
    for name, group in figures["groups"].items():
        learned = learned_text(group["median_robot_hours_to_success"], group["algorithm"])
        best, last = (
            ", ".join("unknown" if rate is None else f"{rate:.0%}" for rate in group[key])
            for key in ("best_success_rate", "last_success_rate")
        )
        print(f"{name}: {learned} (median of seeds {group['seeds']})")
        print(f"  success of the best policies: {best}; of the last: {last}")
    print("figures only; add --output FILE.png for the curves" if output is None else output)
    _finish(figures, as_json)


@app.command()
def view(task: TaskName = "valve", network: Network = False) -> None:
    """Serve the browser viewer for a graph that is already up."""
    from handlab.graph import viewer_node
    from handlab_core.tasks import make_task

    make_task(task)
    ros_environment.prepare()
    viewer_node.main(["--ros-args", "-p", f"task:={task}"])


@app.command()
def tasks() -> None:
    """List the tasks."""
    from handlab_core.tasks import TASKS
    from handlab_core.tasks.adroit import SUITE, find_task

    for name in [*sorted(TASKS), *SUITE]:
        task = find_task(name)
        rewards = ", ".join(f"{r}*" if r == task.reward else r for r in task.rewards)
        print(f"{name:20} {task.description} ({task.hand_name}; rewards: {rewards})")


@app.command()
def hands() -> None:
    """List the hands."""
    from handlab_core.hands import HANDS

    for name, build in sorted(HANDS.items()):
        hand = build()
        print(f"{name:20} {hand.n} joints: {' '.join(hand.joints)}")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check that this machine has what handlab needs."""
    from handlab.doctor import check_all

    checks = check_all()
    for check in checks:
        mark = "ok " if check.ok else "BAD" if check.needed else "-- "
        print(f"{mark}  {check.name}: {check.found}")
        if not check.ok:
            print(f"     {check.remedy}")
    _finish({check.name: check.ok for check in checks}, as_json)
    raise SystemExit(any(check.needed and not check.ok for check in checks))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every test, three files at a time on two cores; arguments go to pytest instead."""
    # Most tests of graphs wait for a clock or for another process.
    processes = max(2, 3 * len(os.sched_getaffinity(0)) // 2)
    in_parallel = ["-n", str(processes), "--dist", "loadfile", "--no-loadscope-reorder"]
    arguments = context.args or in_parallel
    command = [sys.executable, "-m", "pytest", *arguments]
    raise SystemExit(subprocess.call(command, cwd=share()))


WITHOUT_ROS = {"doctor", "tasks", "hands", "report", "compare", "--help"}
"""Verbs that work whatever the shell says of ROS."""


def _finish(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures))


def _end_in_order() -> None:
    """Let SIGTERM, and the SIGHUP of a closed terminal, end this process as Ctrl-C does.

    A signal that is ignored stays so: `nohup ./handlab train` outlives its terminal.
    """

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)


UsageError: Any = typer.BadParameter.__base__
"""Raised for a command line that cannot be understood; typer names its subclass only."""


def run(words: Sequence[str]) -> int:
    """Run a verb; return its exit code. A failure is one line and 1, of a wrong command line 2.

    Args:
        words: the command line behind the program's name.
    """
    try:
        if not WITHOUT_ROS & set(words):
            ros_environment.check_middleware()
        code = app(list(words) or ["--help"], standalone_mode=False, prog_name=PROGRAM)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except SystemExit as end:
        return int(end.code or 0)
    except UsageError as error:
        verb = error.ctx.command_path if error.ctx else PROGRAM
        print(f"handlab: {_short(error.format_message())}; see {verb} --help", file=sys.stderr)
        return 2
    except (HandlabError, OSError, UnicodeError, MemoryError, RecursionError) as error:
        print(f"handlab: {_reason(error)}", file=sys.stderr)
        return 1
    return code or 0


def main() -> None:
    """Run the verb that this process was started for."""
    _end_in_order()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal's encoding may lack a character
            stream.reconfigure(errors="backslashreplace")
    leave(run(sys.argv[1:]))  # at once: someone waits for the end


def _reason(error: Exception) -> str:
    """Return the line that a user reads."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        if error.filename is None:
            return reason
        return f"{shown_path(Path(os.fsdecode(error.filename)))}: {reason}"
    if isinstance(error, UnicodeError):
        return f"text that is not UTF-8: {_short(str(error))}"
    if isinstance(error, MemoryError):
        return "not enough memory: ask for fewer worlds, episodes or points"
    if isinstance(error, RecursionError):
        return "something is nested too deeply to be read"
    return str(error)


def _short(text: str) -> str:
    """Return a message of the command-line library on one line, a long value cut."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 80]} ... {line[-70:]}"


if __name__ == "__main__":
    main()
