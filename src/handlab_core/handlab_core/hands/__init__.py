"""Hands, one file each."""

from handlab_core.hands.hand import HANDS, Hand, make_hand
from handlab_core.system.registry import import_modules

__all__ = ["HANDS", "Hand", "make_hand"]

import_modules(__name__, __path__)
