"""PD gains of the Allegro hand."""

import numpy as np

from handlab_hardware.allegro.gains import GAINS


def test_gains_are_the_vendors():
    """Counts per rad: 4000 in its ROS 1 driver, 500 to 1000 in its ROS 2 driver."""
    counts = {name: gains.stiffness * 1200 / 0.7 for name, gains in GAINS.items()}
    np.testing.assert_allclose(counts["stiff"], 4000)
    np.testing.assert_allclose(counts["soft"][:4], [500, 800, 900, 500], rtol=1e-3)
    np.testing.assert_allclose(counts["soft"][12:], [1000, 700, 600, 600], rtol=1e-3)
