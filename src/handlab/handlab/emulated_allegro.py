"""An emulated Allegro hand on a CAN bus with the MuJoCo world of a task behind it.

python -m handlab.emulated_allegro --interface udp_multicast --channel 239.74.163.2
"""

import argparse

from handlab_core.fixtures import FIXTURES
from handlab_core.hands import make_hand
from handlab_hardware.allegro import emulator
from handlab_sim.torque_world import TorqueWorld


def main() -> None:
    """Run until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        description="An emulated Allegro hand over a simulated object, on a CAN bus."
    )
    emulator.add_arguments(parser)
    parser.add_argument("--object", default="valve", choices=sorted(FIXTURES))
    arguments = parser.parse_args()
    world = TorqueWorld(make_hand("allegro"), FIXTURES.make(arguments.object))
    emulator.run(arguments, world)


if __name__ == "__main__":
    main()
