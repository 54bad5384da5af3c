"""`./handlab reboot`: restart one motor."""

from handlab.cli.hardware.options import DomainId, HandName, JointName
from handlab_core.options import MachineOptions


def reboot(
    joint: JointName, machine: MachineOptions, hand: HandName = "claw", domain: DomainId = None
) -> None:
    """Restart one joint's motor, which clears its hardware error; it comes back without torque."""
    from handlab.operation.operated_hand import open_hand

    with open_hand(hand, machine, domain) as operated:
        print(operated.reboot(joint))
