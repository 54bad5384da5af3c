"""Servos as `identify` measured them: a file beside the station file, with intervals."""

from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np

from handlab_core.errors import BadConfig
from handlab_core.hands import Hand
from handlab_core.hands.servo import ServoParameters
from handlab_core.system.files import dump_yaml, read_yaml, write_atomically
from handlab_core.system.paths import share
from handlab_core.system.validation import Name, NotNegative, Number, build, checked

SUFFIX = ".fitted.yaml"

HEAD = """\
# Servos of one hand as `identify` measured them, with intervals of 95 %. Written by `identify`;
# delete this file, or identify again, to change it.
"""


@checked
class Estimate:
    """A number and its interval of 95 %."""

    value: Number
    low: Number
    high: Number


@checked
class JointFit:
    """Estimates of one joint."""

    gain: Estimate  # N m/rad
    damping: Estimate  # N m s/rad; of the engaged joint
    friction: Estimate  # N m; dry friction
    armature: Estimate  # kg m2
    delay: Estimate  # s; from a command to the motion
    zero: Estimate  # rad; measured minus true angle
    backlash: Estimate = Estimate(0.0, 0.0, 0.0)
    """rad; play of the gear, end to end; files of earlier versions have none."""


@checked
class HandFit:
    """Content of the file."""

    hand: Name
    joints: dict[Name, JointFit]
    residual: NotNegative
    """rad; root of the mean square difference between measured and fitted motion."""
    made: Name
    """Date, and the bag that was fitted."""


QUANTITIES = tuple(field.name for field in fields(JointFit))
"""Names of the estimates of a joint, in the order of the columns of a fit."""


def fitted_path(station: str) -> Path:
    """Return the path of the fitted servos of a station file, `<station>.fitted.yaml` beside it.

    Args:
        station: path of a station file, or its name in config/hands.
    """
    given = Path(station)
    if not given.suffix:
        given = share() / "config" / "hands" / f"{station}.yaml"
    return given.with_name(given.name.removesuffix(".yaml") + SUFFIX)


def read_fit(path: Path) -> HandFit:
    """Read a file of fitted servos.

    Raises:
        BadConfig: the file is missing, or holds something else.
    """
    if not path.is_file():
        raise BadConfig(f"{path} does not exist: measure the servos with `identify` first")
    return build(HandFit, read_yaml(path), str(path))


def write_fit(path: Path, fit: HandFit) -> None:
    """Write a file of fitted servos atomically."""
    write_atomically(path, HEAD + dump_yaml(_rounded(asdict(fit))))


def servos_of_fit(fit: HandFit, hand: Hand) -> ServoParameters:
    """Return the servos of a hand with the estimates in place of their own values.

    The parts of the damping that the position loop and the back-EMF have are kept; the rest is
    viscous friction.

    Raises:
        BadConfig: the fit is of another hand.
    """
    if fit.hand != hand.name or set(fit.joints) != set(hand.joints):
        raise BadConfig(f"the fitted servos are of the hand {fit.hand}, not of {hand.name}")
    value = {
        name: np.array([getattr(fit.joints[joint], name).value for joint in hand.joints])
        for name in QUANTITIES
    }
    return replace(
        hand.servos,
        gain=np.maximum(value["gain"], 0.0),
        viscous=np.maximum(value["damping"] - hand.servos.braking, 0.0),
        coulomb=np.maximum(value["friction"], 0.0),
        armature=np.maximum(value["armature"], 0.0),
        delay=np.maximum(value["delay"], 0.0),
        zero=value["zero"],
        backlash=np.maximum(value["backlash"], 0.0),
    )


def _rounded(data: object) -> object:
    if isinstance(data, dict):
        return {name: _rounded(value) for name, value in data.items()}
    return float(f"{data:.6g}") if isinstance(data, float) else data
