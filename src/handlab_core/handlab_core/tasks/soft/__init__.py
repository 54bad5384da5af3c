"""Tasks of the soft hand, one file each."""

from handlab_core.system.registry import import_modules

import_modules(__name__, __path__)
