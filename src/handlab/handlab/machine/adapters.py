"""Latency timers of USB adapters of servos, and the udev rule that sets them."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from handlab_hardware.dynamixel.protocol.serial_port import (
    DEVICES,
    FAST_LATENCY_MS,
    SYSFS,
    UDEV_RULE,
    UDEV_RULE_FILE,
    adapters,
    latency_ms,
)


@dataclass(frozen=True)
class Places:
    """Files of the kernel and of udev."""

    devices: Path = DEVICES
    sysfs: Path = SYSFS
    rule: Path = UDEV_RULE_FILE


def slow_adapters(places: Places) -> dict[str, int]:
    """Return the adapters that hold bytes back, and for how long, ms."""
    timers = {}
    for port in adapters(places.devices):
        latency = latency_ms(port, places.sysfs)
        if latency is not None and latency > FAST_LATENCY_MS:
            timers[os.path.realpath(port)] = latency
    return timers


def lacks_rule(places: Places) -> bool:
    """Return whether an adapter with a latency timer is there, and no rule that sets it."""
    ports = adapters(places.devices)
    if all(latency_ms(port, places.sysfs) is None for port in ports):
        return False
    try:
        return UDEV_RULE not in places.rule.read_text()
    except OSError:
        return True


def set_timers(places: Places) -> str:
    """Set the latency timer of every slow adapter; return the effect.

    Raises:
        OSError: the kernel refuses, mostly for lack of rights.
    """
    ports = list(slow_adapters(places))
    for port in ports:
        (places.sysfs / os.path.basename(port) / "latency_timer").write_text(f"{FAST_LATENCY_MS}\n")
    return f"{FAST_LATENCY_MS} ms now on {', '.join(ports)}"


def write_rule(places: Places) -> str:
    """Add the rule that sets the latency timer of an adapter when it is plugged in.

    Raises:
        OSError: the file cannot be written, mostly for lack of rights.
    """
    before = places.rule.read_text() if places.rule.exists() else ""
    end = "" if not before or before.endswith("\n") else "\n"
    places.rule.write_text(f"{before}{end}{UDEV_RULE}\n")
    try:  # without udevadm, as in a container, the rule holds from the next start
        subprocess.run(["udevadm", "control", "--reload"], check=False, capture_output=True)
    except OSError:
        return f"{places.rule} has the rule; it holds from the next start of the machine"
    return f"{places.rule} has the rule, for adapters plugged in from now on"
