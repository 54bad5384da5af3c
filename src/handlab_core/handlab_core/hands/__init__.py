"""Hands, one file each."""

from handlab_core.hands import allegro as _allegro  # noqa: F401  (registers itself)
from handlab_core.hands import claw as _claw  # noqa: F401  (registers itself)
from handlab_core.hands.hand import HANDS, Hand, make_hand

__all__ = ["HANDS", "Hand", "make_hand"]
