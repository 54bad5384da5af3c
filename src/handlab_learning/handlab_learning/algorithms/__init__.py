"""Learning algorithms, one file each."""

from handlab_learning.algorithms import bc as _bc  # noqa: F401  (registers itself)
from handlab_learning.algorithms import dapg as _dapg  # noqa: F401  (registers itself)
from handlab_learning.algorithms import npg as _npg  # noqa: F401  (registers itself)
from handlab_learning.algorithms.algorithm import ALGORITHMS, Algorithm, make_algorithm

__all__ = ["ALGORITHMS", "Algorithm", "make_algorithm"]
