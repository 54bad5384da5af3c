"""State of a hand and of its graph, for people and for programs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

OK, WARNING, FAULT = "ok", "warning", "fault"
"""Levels of a node's report."""


@dataclass(frozen=True)
class JointReport:
    """One joint and its motor; unknown numbers are NaN."""

    joint: str
    motor: str = ""
    """Id, model and firmware, as far as they are known."""
    position: float = math.nan  # rad
    target: float = math.nan  # rad
    effort: float = math.nan  # N m
    temperature: float = math.nan  # degrees Celsius
    voltage: float = math.nan  # V
    torque: bool | None = None
    """Whether the motor follows commands; None: unknown."""
    problem: str = ""


@dataclass(frozen=True)
class NodeReport:
    """The newest words of one node."""

    name: str
    level: str
    message: str


@dataclass(frozen=True)
class HandReport:
    """State of a station."""

    place: str
    """The port or the graph that answered."""
    joints: tuple[JointReport, ...]
    nodes: tuple[NodeReport, ...] = ()

    @property
    def faults(self) -> list[str]:
        """Return one sentence for each joint or node with a problem."""
        joints = [f"{joint.joint} {joint.problem}" for joint in self.joints if joint.problem]
        nodes = [f"{node.name}: {node.message}" for node in self.nodes if node.level == FAULT]
        return [*joints, *nodes]

    def figures(self) -> dict[str, Any]:
        """Return the report as plain data; unknown numbers are None."""
        return {
            "place": self.place,
            "nodes": [asdict(node) for node in self.nodes],
            "servos": [
                {name: _known(value) for name, value in asdict(joint).items()}
                for joint in self.joints
            ],
            "faults": self.faults,
        }

    def lines(self) -> list[str]:
        """Return the report as aligned text."""
        head = ("joint", "motor", "degrees", "target", "N m", "C", "V", "torque", "")
        rows = [
            (
                joint.joint,
                joint.motor or "-",
                number(math.degrees(joint.position), 1),
                number(math.degrees(joint.target), 1),
                number(joint.effort, 2),
                number(joint.temperature, 0),
                number(joint.voltage, 1),
                {True: "on", False: "off", None: "-"}[joint.torque],
                joint.problem or "ok",
            )
            for joint in self.joints
        ]
        text = [self.place, *aligned([head, *rows], right=range(2, 7))]
        if self.nodes:
            nodes = [(node.name, node.level, node.message) for node in self.nodes]
            text += ["", *aligned([("node", "state", "says"), *nodes])]
        return text


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Return rows of a table as lines, the columns aligned.

    Args:
        rows: cells, as many in each row.
        right: indices of the columns that are aligned to the right.
    """
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aside = set(right)
    return [
        "  ".join(
            cell.rjust(widths[column]) if column in aside else cell.ljust(widths[column])
            for column, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def number(value: float, digits: int) -> str:
    """Return a number as text: unknown ones, NaN, as a dash, and zero without a sign."""
    return "-" if math.isnan(value) else f"{value:z.{digits}f}"
