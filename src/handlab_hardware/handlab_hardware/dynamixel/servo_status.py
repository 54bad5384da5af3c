"""Status of the servos as sentences for a person, and as values for /diagnostics."""

import numpy as np

from handlab_core.hardware.motor_status import GroupStatus
from handlab_core.hardware.servo_monitor import ServoMonitor
from handlab_core.safety.thermal_protection import ThermalState
from handlab_hardware.dynamixel.failures import error_names
from handlab_hardware.dynamixel.layout import Layout
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.bus import ServoBus
from handlab_hardware.dynamixel.servos import Servos
from handlab_hardware.station_file import DynamixelSection, is_emulated


def problems(servos: Servos, layout: Layout, rest: dict[str, ThermalState]) -> tuple[str, ...]:
    """Return one sentence for each servo with a problem: the problem and its remedy."""
    hot = [bool(h) for group in layout.slices for h in rest[group].hot]
    found = (_problem(servos, i, layout.group_of(i), hot[i]) for i in range(layout.n))
    return tuple(problem for problem in found if problem)


def _problem(servos: Servos, i: int, group: str, hot: bool) -> str:
    servo, celsius = servos.servos[i], f"{servos.temperature[i]:.0f} degrees Celsius"
    if servos.rebooting[i]:
        return f"{servo} restarts; the {group} holds until it is back"
    if servos.absent[i]:
        return f"{servo} is silent, and the {group} holds: check its cable and its power"
    if servos.lost[i]:
        return _lost(servos, i)
    if servos.errors[i]:
        names = error_names(int(servos.errors[i]))
        shut_down = " and shut down" if servos.locked[i] else ""
        state = f"at {servos.voltage[i]:.1f} V and {celsius}"
        return f"{servo} reports {names}{shut_down}, {state}: reboot it with its driver's service"
    if hot:
        return f"{servo} is hot, {celsius}, and released until it is cooler"
    return servos.troubles.get(i, "")


def _lost(servos: Servos, i: int) -> str:
    servo, plan = servos.servos[i], servos.plans[i]
    if plan.range.many:
        return (
            f"{servo} has restarted far from its last known position, or too long after it: its "
            "turns are not known, and all joints are limp; start the driver again, or deactivate "
            "and activate it, to count turns from its present position"
        )
    ends = (plan.range.lower, plan.range.upper)
    lower, upper = np.sort(np.degrees(units.ticks_to_rad(ends, servo.zero, servo.direction)))
    return (
        f"{servo} stands at {np.degrees(servos.q[i]):.0f} degrees, or a whole turn from there, and "
        f"its range is {lower:.0f} to {upper:.0f}: its turn is not known, and all joints are limp; "
        "turn the joint into its range by hand, or correct its zero"
    )


def worn(servos: Servos, monitor: ServoMonitor) -> tuple[str, ...]:
    """Return one sentence for each servo that is weaker, looser or less alive than it was."""
    found = []
    for i, servo in enumerate(servos.servos):
        if monitor.dead[i]:
            found.append(
                f"{servo} has no torque, though it answers: its motor or its gear is broken; "
                "replace it"
            )
        elif monitor.loose[i]:
            play = np.degrees(monitor.play[i])
            found.append(f"{servo} is loose by {play:.0f} degrees: tighten its horn and its screws")
        elif monitor.weak[i]:
            found.append(
                f"{servo} is weak: {monitor.strength[i]:.0%} of its torque is left; check its "
                "supply and its gear, or let `residual` learn with it as it is"
            )
    return tuple(found)


def notes(bus: ServoBus, servos: Servos, section: DynamixelSection) -> tuple[str, ...]:
    """Return one sentence for each setting that could be improved."""
    found = [*bus.notes, *servos.notes]
    if not bus.fast:
        found.append(
            "positions are read with plain sync reads, which take longer: a servo's firmware has "
            "no fast sync read, or fast replies were lost"
        )
    measured = section.calibrated or is_emulated(section.port)  # emulated zeros are exact
    if section.calibration is not None and not measured:
        found.append(f"not calibrated: there is no {section.calibration}, the zeros are nominal")
    return tuple(found)


def group_status(
    servos: Servos, layout: Layout, group: str, rest: ThermalState, gone: bool
) -> GroupStatus:
    """Return the status of one group.

    The status of a group without servos is unknown. Without an adapter all servos are silent.
    """
    if group not in layout.served:
        return GroupStatus.unknown(len(layout.joints[group]))
    places = layout.slices[group]
    return GroupStatus(
        temperature=servos.temperature[places].copy(),
        voltage=servos.voltage[places].copy(),
        hardware_error=tuple(servos.errors[places].tolist()),
        silent=servos.absent[places] | gone,
        torque=servos.engaged[places].copy(),
        hot=rest.hot.copy(),
        pause=rest.pause,
    )
