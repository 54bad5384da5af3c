"""Dialogue of the commissioning of servos; `handlab_hardware.dynamixel.commissioning` does it."""

import shlex
from collections.abc import Callable
from pathlib import Path

from handlab.operation.report import aligned
from handlab.reporting.terminal import command, show
from handlab_core.errors import BadConfig, StationFault
from handlab_hardware.dynamixel.commissioning import (
    FACTORY_BAUD,
    SPEEDS,
    Found,
    give_id,
    scan,
    wanted_ids,
    write_station,
)
from handlab_hardware.dynamixel.protocol.serial_port import (
    SYSFS,
    UDEV_RULE,
    UDEV_RULE_FILE,
    latency_ms,
    latency_warning,
)
from handlab_hardware.station_file import DEFAULT_BAUD

REMEDY = (
    "switch the power on and check the cable; two servos with one id are not heard, so plug new "
    "ones in one at a time"
)

Ask = Callable[[str], str]
"""Shows a person a line and returns the answer."""


def list_servos(port: str) -> list[Found]:
    """Print the servos on a port at every speed, and return them.

    Raises:
        StationFault: the port cannot be opened, or no servo answers.
    """
    show(f"scanning {port} at {len(SPEEDS)} speeds, about 15 s")
    found = scan(port, everything=True)
    if not found:
        raise StationFault(_nothing(port))
    print(_table(found))
    return found


def set_up(
    port: str,
    hand: str,
    fixture: str,
    output: Path,
    overwrite: bool = False,
    ask: Ask = input,
    sysfs: Path = SYSFS,
) -> None:
    """Commission the servos of a hand, joint by joint, and write the station file.

    Args:
        port: path of the adapter.
        hand: name of the hand.
        fixture: name of the fixture.
        output: station file to write.
        overwrite: replace an existing file.
        ask: asks the person.
        sysfs: folder of the kernel with the latency timers of adapters.

    Raises:
        BadConfig: the file exists.
        StationFault: the port cannot be opened, or a servo cannot be used.
    """
    if output.exists() and not overwrite:
        raise BadConfig(f"{output} exists; choose another file with --output, or add --overwrite")
    show(f"port: {port}")
    if (warning := latency_warning(port, latency_ms(port, sysfs))) is not None:
        show(warning)
        rule = shlex.quote(UDEV_RULE)
        show(f"  echo {rule} | sudo tee {UDEV_RULE_FILE} && sudo udevadm control --reload")
    wanted = wanted_ids(hand, fixture)
    there = scan(port, (DEFAULT_BAUD,))
    known = {servo.id: servo for servo in there if servo.id in wanted.values()}
    models: dict[str, tuple[int, str]] = {}
    for joint, id in wanted.items():
        if id not in known:
            servo = _new_servo(port, joint, id, known, ask)
            give_id(port, servo, id)
            known[id] = Found(id, DEFAULT_BAUD, servo.identity)
        servo = known[id]
        if servo.warning:
            raise StationFault(f"the servo of {joint} (id {id}) {servo.warning}")
        show(f"{joint}: id {id}, {servo.model}, firmware {servo.identity.firmware}")
        if servo.remark:
            show(f"  it {servo.remark}")
        models[joint] = id, servo.model
    write_station(output, hand, fixture, port, models, overwrite)
    print(f"{output}: {len(models)} servos on {port}")
    print(f"next: {command('check', hand, '--station', output)}")


def _new_servo(port: str, joint: str, id: int, known: dict[int, Found], ask: Ask) -> Found:
    """Ask for the servo of a joint until exactly one new servo is there."""
    while True:
        answer = ask(f"{joint}: plug in its servo, no other new one; then Enter (q: end) ")
        if answer.strip().lower() == "q":
            raise StationFault("ended by you; servos that have an id keep it")
        there = scan(port, (DEFAULT_BAUD, FACTORY_BAUD), everything=True)
        new = [servo for servo in there if servo.id not in known]
        if not new:
            new = [s for s in scan(port, SPEEDS[2:]) if s.id not in known]
        if len(new) == 1:
            return new[0]
        if new:
            show(f"{len(new)} new servos answer; leave one of them plugged in:\n{_table(new)}")
        else:
            show(f"no new servo answers: {REMEDY}")


def _table(found: list[Found]) -> str:
    rows = [
        (str(servo.id), str(servo.baud), servo.model, str(servo.identity.firmware), servo.warning)
        for servo in found
    ]
    return "\n".join(aligned([("id", "baud", "model", "firmware", ""), *rows]))


def _nothing(port: str) -> str:
    return f"no servo answers on {port}: {REMEDY}"
