"""Exploration noise with a power spectrum 1/f^exponent over an episode.

White noise on position targets averages out before a finger has moved. Pink noise (exponent 1) has
as much energy in slow motions as in fast ones (Eberhard et al., "Pink noise is all you need", ICLR
2023).
"""

import numpy as np

from handlab_core.types import Array

WHITE, PINK, BROWN = 0.0, 1.0, 2.0
"""Exponents of noise: independent steps, 1/f, and a random walk."""


def colored_noise(rng: np.random.Generator, steps: int, size: int, exponent: float) -> Array:
    """Draw Gaussian noise with the power spectrum 1/f^exponent, (steps, size).

    Columns are independent. Each element has mean 0 and variance 1 over many draws. The lowest
    frequency is 1/steps; the constant part has the same power. Method: Timmer and Koenig, Astronomy
    and Astrophysics 300, 1995.

    Args:
        rng: source of random numbers.
        steps: number of steps of the episode, at least 2.
        size: number of columns.
        exponent: 0: white; 1: pink; 2: Brownian.
    """
    frequency = np.fft.rfftfreq(steps)
    frequency[0] = frequency[1]
    amplitude = frequency ** (-exponent / 2)
    real, imaginary = rng.standard_normal((2, size, len(amplitude)))
    weight = np.full(len(amplitude), 4.0)  # a frequency stands for its negative, too
    for alone in [0] if steps % 2 else [0, -1]:  # real: no phase, no negative frequency
        real[:, alone] *= np.sqrt(2.0)
        imaginary[:, alone] = 0.0
        weight[alone] = 2.0
    spread = np.sqrt(weight @ np.square(amplitude)) / steps
    noise: Array = np.fft.irfft(amplitude * (real + 1j * imaginary), steps) / spread
    return noise.T
