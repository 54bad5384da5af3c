"""Serve free emulated servos until interrupted: python -m handlab_hardware.dynamixel.emulator."""

import argparse
import logging
import signal
import sys
from pathlib import Path

from handlab_core.errors import HandlabError
from handlab_hardware.dynamixel.emulator.config import EmulatorConfig, emulate
from handlab_hardware.dynamixel.protocol.models import MODELS


def read_arguments(arguments: list[str]) -> EmulatorConfig:
    """Parse the command line."""
    default = EmulatorConfig()
    parser = argparse.ArgumentParser(
        prog="python -m handlab_hardware.dynamixel.emulator",
        description="A bus of emulated Dynamixel servos behind a pseudo-terminal.",
    )
    parser.add_argument("--ids", type=int, nargs="+", default=default.ids)
    parser.add_argument(
        "--model",
        nargs="+",
        default=default.models,
        help=f"one for all ids, or one for each: {', '.join(MODELS)}",
    )
    parser.add_argument("--baud", type=int, default=default.baud, help="speed of the servos, bit/s")
    parser.add_argument("--firmware", type=int, default=default.firmware)
    parser.add_argument("--link", type=Path, help="symbolic link to the port, a stable name")
    parser.add_argument("--control", type=Path, help="socket for faults; default <link>.faults")
    parser.add_argument("--seed", type=int, default=default.seed)
    given = parser.parse_args(arguments)
    return EmulatorConfig(
        ids=tuple(given.ids),
        models=tuple(given.model),
        baud=given.baud,
        firmware=given.firmware,
        link=given.link,
        control=given.control,
        seed=given.seed,
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    logging.basicConfig(format="%(message)s")
    try:
        config = read_arguments(sys.argv[1:] if arguments is None else arguments)
        port = emulate(config)
    except HandlabError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: port.stop())
    sys.stdout.write(f"{port.name}\n")
    sys.stdout.flush()
    try:
        port.serve()
    finally:
        port.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
