"""State of the servos of one station, and the bus traffic of a cycle.

No method raises for a servo that is silent or refuses; the arrays show it. All methods raise
PortGone when the adapter is unplugged. Arrays are (n,), in the order of the plans.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from handlab_core.errors import StationFault
from handlab_core.types import Array, BoolArray
from handlab_hardware.dynamixel.arming import Facts, Plan, arm, disarm, inspect
from handlab_hardware.dynamixel.failures import (
    FAST_AGAIN,
    HEALTH_PERIOD,
    PROBE_PERIOD,
    SILENT_CYCLES,
    WATCHDOG_COUNTS,
    WATCHDOG_TRIPPED,
    PortGone,
    ServoRefused,
)
from handlab_hardware.dynamixel.protocol import units
from handlab_hardware.dynamixel.protocol.bus import Answer, ServoBus
from handlab_hardware.dynamixel.protocol.registers import REGISTERS, TICKS_PER_TURN, OperatingMode
from handlab_hardware.dynamixel.turns import BLIND, FAR, continued

MOTION = REGISTERS["present_current"].address, 10
"""First address, and size in bytes, of the adjacent registers current, velocity and position."""

MOTION_TYPE = np.dtype([("current", "<i2"), ("velocity", "<i4"), ("position", "<i4")])

LEAP = TICKS_PER_TURN // 4
"""counts; position change within a cycle that triggers an examination of the servo; chosen.

At 100 Hz no servo turns this far in ten cycles. After a long pause the change may be real."""

UPKEEP = (
    REGISTERS["shutdown"].address,
    REGISTERS["present_temperature"].end - REGISTERS["shutdown"].address,
)
"""First address, and size in bytes, of the health registers; one long packet costs less than
three."""


HEALTH = [
    (name, REGISTERS[name])
    for name in (
        "shutdown",
        "torque_enable",
        "hardware_error_status",
        "bus_watchdog",
        "present_input_voltage",
        "present_temperature",
    )
]
"""Health registers."""


class Servos:
    """Servos on one bus.

    Args:
        plans: required setup of each servo.
        clock: clock that gives the times of goals, s.
    """

    def __init__(self, plans: Sequence[Plan], clock: Callable[[], float]) -> None:
        n = len(plans)
        self.plans, self.servos, self._clock = tuple(plans), [p.servo for p in plans], clock
        self.ids = [servo.id for servo in self.servos]
        self.q, self.qd, self.torque, self.goal, self.effort = np.full((5, n), np.nan)
        """Newest measurements, rad, rad/s and N m; newest goals, rad, and efforts, N m, sent."""
        self.sent_at = np.full(n, -np.inf)
        """s; time of each newest goal."""
        self.temperature, self.voltage = np.full((2, n), np.nan)  # degrees Celsius; V
        self.engaged, self.fresh, self.absent, self.rebooting, self.locked, self.lost = np.zeros(
            (6, n), dtype=bool
        )
        """Torque is on; read in this cycle; silent; silent because of a reboot; shut down; on an
        unknown turn."""
        self.errors, self._missed = np.zeros((2, n), dtype=np.int64)
        self.troubles: dict[int, str] = {}
        """Index of a servo to the text of its newest refusal."""
        self.counts: Counter[str] = Counter()
        self._zero = np.array([servo.zero for servo in self.servos])
        self._direction = np.array([servo.direction for servo in self.servos])
        self._per_count = np.array([units.torque_per_count(s.model) for s in self.servos])
        self.feels = np.array([s.model.current_unit is not None for s in self.servos])
        """Whether each servo measures its current, not only the load that its controller asks."""
        self._single = np.array([p.mode is OperatingMode.POSITION for p in plans])
        self._many = np.array([p.range.many for p in plans])
        self._middle = np.array([(p.range.lower + p.range.upper) / 2 for p in plans])
        self._by_current = any(p.mode is OperatingMode.CURRENT_BASED_POSITION for p in plans)
        self._ticks, self._offset = np.zeros((2, n), dtype=np.int64)
        """counts; positions as read; whole turns that are added for the joint's position."""
        self._located = np.zeros(n, dtype=bool)
        """Whether the offset belongs to the turns that the servo counts now."""
        self._seen_at = np.full(n, np.nan)  # s; time of the newest position on a known turn
        self._alert, self._suspect = np.zeros((2, n), dtype=bool)
        self._turn = self._probed = 0  # indices of the newest health reading and the newest probe
        self._next_health = self._next_probe = self._next_fast = 0.0

    def adopt(self, bus: ServoBus, facts: Sequence[Facts], now: float) -> None:
        """Start with servos that have just been armed: read their motion and health."""
        for state in (
            self.engaged,
            self.absent,
            self.rebooting,
            self.locked,
            self._missed,
            self._suspect,
        ):
            state[:] = 0
        self.troubles.clear()
        self._facts = list(facts)
        self._located &= [not f.restarted for f in facts]
        self._next_health, self._next_probe = now, now
        self.read(bus)
        self.examine_all(bus)

    # Motion.

    @property
    def missed(self) -> BoolArray:
        """Whether each servo has not answered the newest reading, and does not count as silent."""
        return (self._missed > 0) & ~self.absent

    def read(self, bus: ServoBus) -> None:
        """Read position, velocity and torque of all servos that are not absent."""
        asked = [i for i in range(len(self.ids)) if not self.absent[i]]
        answers = bus.read_all([self.ids[i] for i in asked], *MOTION)
        self.fresh[:] = False
        there = [i for i in asked if self.ids[i] in answers]
        self._take(bus, there, [answers[self.ids[i]] for i in there])
        self._suspect[there] |= self._missed[there] > 0  # a missed servo may have restarted
        self._missed[there] = 0
        for i in set(asked) - set(there):
            self._missed[i] += 1
            if self._missed[i] == SILENT_CYCLES:
                self.absent[i] = True
                self.counts["silent_servos"] += 1

    def _take(self, bus: ServoBus, there: list[int], answers: list[Answer]) -> None:
        values = np.frombuffer(b"".join(a.data for a in answers), MOTION_TYPE)
        direction, moved = self._direction[there], values["position"] - self._ticks[there]
        self.qd[there] = units.counts_to_velocity(values["velocity"], direction)
        self.torque[there] = units.counts_to_torque(
            values["current"], self._per_count[there], direction
        )
        self._alert[there] = [a.alert for a in answers]
        # A leap may mean a restart, after which the servo counts turns from another origin.
        leapt = (np.abs(moved) > LEAP) & self._located[there]
        unsure = [
            i
            for i, leap in zip(there, leapt.tolist(), strict=True)
            if leap and not self._attempt(i, self.examine, bus, i)
        ]
        keep = ~np.isin(there, unsure)
        sure = [i for i in there if i not in unsure]
        self._ticks[sure] = values["position"][keep]
        self._locate(sure)

    def _locate(self, there: list[int]) -> None:
        """Find the turns of servos that have just been read, and update the joint positions."""
        for i in there:
            if self._many[i] and not self._located[i]:
                self._find_turn(i)
        # A joint with a range below one turn is on the turn nearest to its range.
        counted = self._many | (self.engaged & self._located)
        loose = [i for i in there if not counted[i]]
        away = (self._ticks[loose] - self._middle[loose]) / TICKS_PER_TURN
        self._offset[loose] = -np.rint(away).astype(np.int64) * TICKS_PER_TURN
        for i in loose:
            self.lost[i] = not self.plans[i].range.fits(int(self._ticks[i] + self._offset[i]))
        self._located[there] = True
        position = self._ticks[there] + self._offset[there]
        self.q[there] = units.ticks_to_rad(position, self._zero[there], self._direction[there])
        self.fresh[there] = ~self.lost[there]
        self._seen_at[[i for i in there if not self.lost[i]]] = self._clock()

    def _find_turn(self, i: int) -> None:
        """Find the turn of a servo with a range of many turns after its restart."""
        ticks = int(self._ticks[i])
        if np.isnan(self._seen_at[i]):
            self._offset[i], self.lost[i] = self.plans[i].range.nearest(ticks), False
            return
        if self.lost[i]:
            return
        last = int(units.rad_to_ticks(self.q[i], self._zero[i], self._direction[i]))
        self._offset[i] = continued(ticks, last)
        away = abs(ticks + int(self._offset[i]) - last)
        self.lost[i] = away > FAR or self._clock() - self._seen_at[i] > BLIND
        self.counts["turns_lost" if self.lost[i] else "turns_found"] += 1

    def recount(self) -> None:
        """Count the turns of lost servos from their present positions at the next reading."""
        again = self.lost & self._many
        self._seen_at[again], self._located[again] = np.nan, False

    def set_torque(self, bus: ServoBus, effort: Array) -> None:
        """Engage joints with an effort, N m, at their present positions; release the others."""
        wanted = (effort > 0.0) & ~self.locked
        if self.lost.any():
            wanted[:] = False
        self.release(bus, self.engaged & ~wanted)
        if (new := wanted & ~self.engaged & ~self.absent).any():
            self.engage(bus, new, effort)

    def send(self, bus: ServoBus, target: Array, effort: Array) -> None:
        """Send goals unchanged, also to silent servos, which may still hear.

        Args:
            bus: bus of the servos.
            target: targets, rad.
            effort: efforts, N m; 0: no goal. Joints that are not engaged must have 0.

        Raises:
            ValueError: a target with an effort is not finite.
        """
        on = _places(self.engaged & (effort > 0.0))
        if not np.isfinite(target[on]).all():
            raise ValueError(f"targets {target} rad with efforts {effort} N m are not finite")
        if not on:
            return
        ticks = units.rad_to_ticks(target[on], self._zero[on], self._direction[on])
        if self._by_current:
            counts = {self.ids[i]: self._current(i, float(effort[i])) for i in on}
            bus.sync_write("goal_current", counts)
        raw = ticks - self._offset[on]
        goals = {self.ids[i]: int(t) for i, t in zip(on, raw, strict=True)}
        bus.sync_write("goal_position", goals)
        self.goal[on], self.effort[on], self.sent_at[on] = target[on], effort[on], self._clock()

    def engage(self, bus: ServoBus, which: BoolArray, effort: Array) -> None:
        """Turn torque on; each joint holds its present position."""
        self.read(bus)
        effort = np.minimum(effort, self.max_effort)
        for i in _places(which & self.fresh):
            self._attempt(i, self._engage, bus, i, float(effort[i]))

    def _engage(self, bus: ServoBus, i: int, effort: float) -> None:
        ticks = int(self._ticks[i])
        if self._single[i]:  # with torque on, the servo counts within one turn
            ticks += int(self._offset[i])
        least, greatest = self._facts[i].goals
        if not least <= ticks <= greatest:
            raise ServoRefused(
                f"{self.servos[i]} is at {ticks} counts and can hold {least} to {greatest}: turn "
                "its joint by hand towards the middle of its range"
            )
        bus.write(self.ids[i], "goal_position", ticks)
        if self._by_current:
            bus.write(self.ids[i], "goal_current", self._current(i, effort))
        bus.write(self.ids[i], "torque_enable", 1)
        if self._single[i]:
            self._ticks[i], self._offset[i] = ticks, 0
        position = ticks + self._offset[i]
        self.goal[i] = units.ticks_to_rad(position, self._zero[i], self._direction[i])
        self.effort[i], self.sent_at[i], self.engaged[i] = effort, self._clock(), True

    def release(self, bus: ServoBus, which: BoolArray) -> None:
        """Turn torque off; a servo without confirmation stays engaged, and release is repeated."""
        for i in _places(which & ~self.absent):
            if self._attempt(i, bus.write, self.ids[i], "torque_enable", 0):
                self.engaged[i] = False
        if mute := _places(which & self.absent):
            # A silent servo may still hear.
            bus.sync_write("torque_enable", {self.ids[i]: 0 for i in mute})

    def disarm(self, bus: ServoBus) -> None:
        """Release all servos and turn their watchdogs off."""
        for i in _places(~self.absent):
            if self._attempt(i, disarm, bus, self.servos[i]):
                self.engaged[i] = False

    def _current(self, i: int, effort: float) -> int:
        return round(effort / float(self._per_count[i]))

    @property
    def notes(self) -> list[str]:
        """Return sentences about settings that make servos weaker or less protected."""
        return [note for facts in self._facts for note in facts.notes]

    @property
    def temperature_limit(self) -> Array:
        """Return the temperatures at which the servos shut down, degrees Celsius."""
        return np.array([float(facts.temperature_limit) for facts in self._facts])

    @property
    def max_effort(self) -> Array:
        """Return the efforts that the current limits allow, N m; inf in position mode."""
        if not self._by_current:
            return np.full(len(self.ids), np.inf)
        return self._per_count * [facts.current_limit for facts in self._facts]

    # Upkeep.

    def look_after(self, bus: ServoBus, now: float) -> None:
        """Read the health of one servo if one is due, and probe one absent servo."""
        # The alert bit lasts as long as the error: examine a servo when the bit changes.
        news = self._suspect | (self._alert != (self.errors != 0))
        if new := _places(self.fresh & news & ~self.absent):
            self._attempt(new[0], self.examine, bus, new[0])
        elif now >= self._next_health:
            self._turn = (self._turn + 1) % len(self.ids)
            self._next_health += HEALTH_PERIOD / len(self.ids)
            if now - self._next_health > HEALTH_PERIOD:
                self._next_health = now
            if not self.absent[self._turn]:
                self._attempt(self._turn, self.examine, bus, self._turn)
        if self.absent.any() and now >= self._next_probe:
            self._probe(bus, now)
        if bus.fast or not bus.fast_works:
            self._next_fast = now + FAST_AGAIN
        elif now >= self._next_fast:
            bus.fast = True

    def examine_all(self, bus: ServoBus) -> None:
        """Read the health of all servos."""
        for i in _places(~self.absent):
            self._attempt(i, self.examine, bus, i)

    def examine(self, bus: ServoBus, i: int) -> None:
        """Read the health of one servo, and restore its setup after a restart."""
        value = self._upkeep(bus, i)
        self.temperature[i] = value["present_temperature"]
        self.voltage[i] = units.counts_to_volts(value["present_input_voltage"])
        self.errors[i] = value["hardware_error_status"]
        self.locked[i] = value["hardware_error_status"] & value["shutdown"] != 0
        if value["bus_watchdog"] != WATCHDOG_COUNTS:
            tripped = value["bus_watchdog"] == WATCHDOG_TRIPPED
            self.counts["watchdogs_tripped" if tripped else "servos_restarted"] += 1
            self.engaged[i] = False
            self._located[i] &= tripped
            arm(bus, self.plans[i])
            self._suspect[:] = True  # a brown-out may have restarted all servos
        elif value["torque_enable"] and not self.engaged[i]:
            bus.write(self.ids[i], "torque_enable", 0)
        elif not value["torque_enable"]:
            self.engaged[i] = False
        self._suspect[i] = False

    def _upkeep(self, bus: ServoBus, i: int) -> dict[str, int]:
        data = bus.read_block(self.ids[i], *UPKEEP).data
        return {name: units.from_bytes(data[r.address - UPKEEP[0] :], r) for name, r in HEALTH}

    def reboot(self, bus: ServoBus, i: int, now: float) -> None:
        """Restart one servo and probe it until it answers.

        Raises:
            PacketLost: the servo does not answer.
            ServoRefused: the servo refused.
        """
        bus.reboot(self.ids[i])
        self.absent[i] = self.rebooting[i] = True
        self.engaged[i] = False
        self.counts["reboots"] += 1
        self._next_probe = now + PROBE_PERIOD

    def _probe(self, bus: ServoBus, now: float) -> None:
        """Probe the next absent servo; if it is back, probe the others without waiting."""
        i = min(_places(self.absent), key=lambda place: (place <= self._probed, place))
        self._probed = i
        there = self._attempt(i, self._take_back, bus, i)
        self._next_probe = now if there else now + PROBE_PERIOD

    def _take_back(self, bus: ServoBus, i: int) -> None:
        bus.ping(self.ids[i], retries=0)
        if self._upkeep(bus, i)["bus_watchdog"] != WATCHDOG_COUNTS:  # it has restarted
            self._facts[i] = inspect(bus, self.plans[i], self.ids)
            arm(bus, self.plans[i])
            self.engaged[i] = False
            self._located[i] &= not self._facts[i].restarted
        self.examine(bus, i)
        self.absent[i] = self.rebooting[i] = False
        self._missed[i] = 0

    def _attempt(self, i: int, action: Callable[..., None], *arguments: Any) -> bool:
        """Call an action on one servo; return whether it succeeded."""
        try:
            action(*arguments)
        except PortGone:
            raise
        except ServoRefused as error:
            self.counts["refusals"] += 1
            self.troubles[i] = str(error)
            return False
        except StationFault:
            return False
        self.troubles.pop(i, None)
        return True


def _places(which: BoolArray) -> list[int]:
    """Return the indices at which an array is true."""
    places: list[int] = np.flatnonzero(which).tolist()
    return places
