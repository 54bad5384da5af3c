"""Emulator: the motors of a station that is not there, as a node beside the others.

It speaks no topic to the driver, only the wire. `./handlab emulate` does the same without ROS.
"""

from dataclasses import dataclass
from pathlib import Path

from rclpy.node import Node

from handlab.emulation import BUS_BACKEND, make_emulated
from handlab_core.errors import BadConfig
from handlab_core.priority import hurry
from handlab_hardware.station_file import station_path
from handlab_nodes.diagnostics import OK, Diagnostics
from handlab_nodes.params import TaskParams, read_params
from handlab_nodes.spinner import run


@dataclass(frozen=True)
class EmulatorParams(TaskParams):
    """Parameters of the node."""

    hardware: str = BUS_BACKEND
    station: str = ""  # path of the station file; empty: the one that comes with handlab
    port: str = ""  # where the driver will look
    fixture_port: str = ""  # where the fixture's will, if it has one of its own
    seed: int = 0  # of faults that are left to chance


class EmulatorNode(Node):
    """Serves emulated motors from threads."""

    def __init__(self) -> None:
        super().__init__("emulator")
        params = read_params(self, EmulatorParams())
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
        """Tell that what moves is emulated."""
        self._diagnostics.publish(OK, f"emulated motors on {self._motors.name}", {})

    def release(self) -> None:
        """Join the motors' threads."""
        self._motors.close()


def main(args: list[str] | None = None) -> None:
    """Run the node: what is emulated does not wait for other programs."""
    hurry()
    run(EmulatorNode, args=args)


if __name__ == "__main__":
    main()
