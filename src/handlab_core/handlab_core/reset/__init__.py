"""Reset procedures, one file each: they bring object and hand to the start of an episode."""

from handlab_core.system.registry import import_modules

import_modules(__name__, __path__)
