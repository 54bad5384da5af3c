"""A hand that a person operates by verbs: directly on its bus, or through a running graph."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from handlab.graph.running_graphs import chosen_graph
from handlab.operation.direct_hand import DirectHand
from handlab.operation.place import emulated_if_asked, find_place
from handlab.operation.report import HandReport
from handlab.operation.stop_key import Switch
from handlab_core.errors import BadConfig, StationFault
from handlab_core.hands import Hand
from handlab_core.options import EMULATED, MachineOptions


class OperatedHand(Protocol):
    """Verbs of a hand at the bench.

    Each raises UnknownName for an unknown joint, and StationFault with the remedy if it fails.
    """

    hand: Hand
    """Description of the hand."""
    place: str
    """The port or the graph, for people."""

    def report(self) -> HandReport:
        """Return the state of every motor, and of every node of a graph."""
        ...

    def torque_on(self, joints: tuple[str, ...]) -> Callable[[], None] | None:
        """Engage joints at their present positions; empty: the hand's.

        Returns:
            Function to call several times a second while the hand holds; None: another program
            looks after it.
        """
        ...

    def torque_off(self, joints: tuple[str, ...]) -> None:
        """Release joints; empty: all of the station."""
        ...

    def calibrate(self, overwrite: bool, force: bool) -> str:
        """Take the present pose as the zero pose; return the file that was written."""
        ...

    def reboot(self, joint: str) -> str:
        """Restart one joint's motor; return a sentence about its state."""
        ...

    def position(self, joint: str) -> float:
        """Return the position of a joint of the hand, rad."""
        ...

    def measured_at(self) -> float:
        """Return the time of the newest positions, s, which stands still while motors are silent.

        The origin is that of the hand's clock.
        """
        ...

    def step(self, joint: str, position: float, alone: bool) -> float:
        """Move a joint a small step toward a position, rad; return its target after the step.

        Args:
            joint: name.
            position: rad.
            alone: release the other joints; else they hold their positions.
        """
        ...

    def check(self) -> None:
        """Raise StationFault if the hand cannot be moved any more."""
        ...

    @property
    def switch(self) -> Switch:
        """Return the emergency stop of the hand."""
        ...


@contextmanager
def open_hand(name: str, machine: MachineOptions, domain: int | None) -> Iterator[OperatedHand]:
    """Find a hand: through the graph that runs, else directly on its bus.

    A graph that runs is used unless the user names another port than the graph's.

    Args:
        name: of the hand.
        machine: station file and port.
        domain: ROS domain id of a graph, which need not be one of `./handlab`; None: search.

    Raises:
        BadConfig: several graphs run, or the station file cannot be used.
        StationFault: the port cannot be opened, or nothing answers in the domain.
    """
    graph = None
    if machine.port != EMULATED:
        graph = chosen_graph(domain, machine.port)
    if graph is not None or domain is not None:
        if machine.port == EMULATED:
            raise BadConfig("--domain names a graph, and --port emulated starts a hand without one")
        from handlab.graph.graph_hand import graph_hand  # which needs ROS

        with graph_hand(graph, domain) as operated:
            if operated.hand.name != name:
                raise StationFault(
                    f"{operated.place} moves the hand {operated.hand.name}, not {name}: choose "
                    f"--hand {operated.hand.name}, or name the port of the other hand"
                )
            yield operated
        return
    with emulated_if_asked(name, machine) as found, DirectHand(find_place(name, found)) as direct:
        yield direct
