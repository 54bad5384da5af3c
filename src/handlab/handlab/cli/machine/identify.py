"""`./handlab identify`: measure a hand's servos."""

from typing import Annotated

from handlab.cli.fields import option_of
from handlab.cli.parameters import AsJson, Seed, finish
from handlab.cli.values import argument, option
from handlab.reporting.terminal import command, console
from handlab_core.options import StationOptions
from handlab_core.system.validation import Positive, Text


def identify(
    station: Annotated[
        str, argument(Text, "Station file, or its name in config/hands: claw, allegro")
    ],
    hardware: Annotated[str, option_of(StationOptions, "hardware")] = "mujoco",
    port: Annotated[str, option_of(StationOptions, "port")] = "",
    seconds: Annotated[float, option(Positive, "s; length of the motion")] = 60.0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Move a hand safely for a minute, and fit gain, damping, friction, inertia, delay and zero."""
    from dataclasses import asdict

    from rich.progress import Progress

    from handlab.identification import identify as work
    from handlab.operation.stop_key import SimulatedHands, StopKey
    from handlab_core.safety.emergency_stop import simulated_hands

    with Progress(console=console) as bar, StopKey(SimulatedHands()) as stop_key:
        stop_key.announce()
        shown = bar.add_task("moving", total=seconds)
        found = work.identify(
            station, hardware, port, seconds, seed,
            stopped=lambda: simulated_hands.stopped,
            on_time=lambda done: bar.update(shown, completed=done),
        )  # fmt: skip
    for joint, fit in found.fit.joints.items():
        print(
            f"{joint:8} gain {fit.gain.value:6.3f} N m/rad  damping {fit.damping.value:.4f} "
            f"N m s/rad  friction {fit.friction.value:.4f} N m  armature "
            f"{1e3 * fit.armature.value:.3f} g m2  delay {1e3 * fit.delay.value:5.1f} ms"
        )
    print(f"residual {1e3 * found.fit.residual:.2f} mrad; page: {found.page}; bag: {found.bag}")
    print(f"servos: {found.file}; train with them: " + command(
        "train", "TASK", "--randomise", "fitted", "--fitted", found.file
    ))  # fmt: skip
    files = {"file": str(found.file), "page": str(found.page), "bag": str(found.bag)}
    finish(asdict(found.fit) | files, as_json)
