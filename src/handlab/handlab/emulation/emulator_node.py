"""Emulator: the motors of a station that is not there, as a node beside the others.

It speaks no topic to the driver, only the wire. `./handlab emulate` does the same without ROS.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from rclpy.node import Node

from handlab.emulation.emulated_hands import BUS_BACKEND, make_emulated
from handlab_core.errors import BadConfig
from handlab_core.options import HardwareOptions
from handlab_core.system.scheduling import use_realtime_priority
from handlab_core.system.validation import Seed, Text, checked
from handlab_hardware.station_file import station_path
from handlab_nodes.runtime.diagnostics import OK, Diagnostics
from handlab_nodes.runtime.event_loop import run
from handlab_nodes.runtime.parameters import TaskParams, read_params


@checked
class EmulatorParams(TaskParams, HardwareOptions):
    """Parameters of the node."""

    fixture_port: Annotated[
        Text, Field(description="port that the fixture's own driver opens; empty: there is none")
    ] = ""
    seed: Annotated[Seed, Field(description="seed of random faults")] = 0


class EmulatorNode(Node):
    """Serves emulated motors from threads."""

    def __init__(self) -> None:
        super().__init__("emulator")
        params = read_params(self, EmulatorParams(hardware=BUS_BACKEND))
        if not params.port:
            raise BadConfig("parameter port is empty; name the port that the driver will open")
        station = Path(params.station or station_path(params.make_task().hand_name))
        self._motors = make_emulated(
            params.hardware, station, params.port, params.fixture_port, params.seed
        )
        self._motors.start()
        self._diagnostics = Diagnostics(self)
        self.get_logger().info(f"emulated motors on {self._motors.name}")

    def report(self) -> None:
        """Publish on /diagnostics that the motors are emulated."""
        self._diagnostics.publish(OK, f"emulated motors on {self._motors.name}", {})

    def release(self) -> None:
        """Join the motors' threads."""
        self._motors.close()


def main(args: list[str] | None = None) -> None:
    """Run the node with real-time priority, since real motors do not wait either."""
    use_realtime_priority()
    run(EmulatorNode, args=args)


if __name__ == "__main__":
    main()
