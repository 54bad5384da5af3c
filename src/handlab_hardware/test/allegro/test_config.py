"""Configuration of an Allegro hand, and the mounting of its joints."""

import numpy as np
import pytest

from handlab_core.errors import BadConfig
from handlab_core.hands import make_hand
from handlab_hardware.allegro.config import AllegroConfig, Mounting


def test_mounting_is_inverse_and_by_name():
    hand = make_hand("allegro")
    rng = np.random.default_rng(0)
    order = tuple(rng.permutation(hand.joints).tolist())
    signs, zeros = rng.choice([1, -1], 16), rng.uniform(-0.1, 0.1, 16)
    config = AllegroConfig(order=order, signs=tuple(signs.tolist()), zeros=tuple(zeros.tolist()))
    mounting, wire, torque = Mounting(config, hand), rng.normal(size=16), rng.normal(size=16)
    q = mounting.q_from_wire(wire)
    at = order.index("mfj2")
    assert q[hand.index("mfj2")] == pytest.approx(signs[at] * wire[at] - zeros[at])
    assert sorted(q) == pytest.approx(sorted(signs * wire - zeros))
    np.testing.assert_allclose(mounting.torque_to_wire(mounting.torque_from_wire(torque)), torque)
    # Power is the same on both sides.
    moved = mounting.q_from_wire(wire + 1e-3) - q
    work = mounting.torque_from_wire(torque) @ moved
    assert work == pytest.approx(torque.sum() * 1e-3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"chanel": "can0"}, "unknown key chanel; there is: interface, channel, device"),
        ({"version": "v3"}, "version is 'v3'; it can be v4 or v5"),
        ({"gains": "hard"}, "gains is 'hard'; it can be stiff or soft"),
        ({"device": 4}, "device is 4; it must be less than or equal to 3"),
        ({"side": "both"}, "side is 'both'; it must be 'right' or 'left'"),
        ({"channel": ""}, "channel is ''"),
        ({"signs": [1, -1]}, "signs is .*16 items"),
        ({"signs": [2] * 16}, "signs"),
        ({"zeros": [90.0] * 16}, "zeros.0 is 90.0; it must be less than or equal to 3.14"),
        ({"zeros": 0.0}, "zeros is 0.0; it must be a list"),
        ({"zeros": [float("nan")] + [0.0] * 15}, "zeros.0 is nan"),
        ({"signs": [True] * 16}, "signs.0 is True; it must be a whole number"),
        ({"device": True}, "device is True"),
        ({"version": 4}, "version is 4; it must be text"),
        ({"order": ["ffj0"] * 16}, "order is .*once"),
    ],
)
def test_a_bad_config_says_what_is_allowed(given, message):
    with pytest.raises(BadConfig, match=message):
        AllegroConfig.from_dict(given)


def test_an_empty_section_is_the_default_hand():
    assert AllegroConfig.from_dict({}) == AllegroConfig()
