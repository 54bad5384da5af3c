"""Learning algorithms, one file each."""

from handlab_core.system.registry import import_modules
from handlab_learning.algorithms.algorithm import ALGORITHMS, Algorithm, make_algorithm

__all__ = ["ALGORITHMS", "Algorithm", "make_algorithm"]

import_modules(__name__, __path__)
