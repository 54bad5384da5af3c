"""Estimators of the object's state, one file each."""

from handlab_core.system.registry import import_modules

import_modules(__name__, __path__)
