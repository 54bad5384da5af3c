"""Unit quaternions as plain numbers, wxyz; `multiply(a, b)` rotates by b, then by a."""

import math

Quaternion = tuple[float, float, float, float]
"""w, x, y, z."""
Vector = tuple[float, float, float]

IDENTITY: Quaternion = (1.0, 0.0, 0.0, 0.0)


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the Hamilton product."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def inverse(q: Quaternion) -> Quaternion:
    """Return the inverse rotation."""
    return q[0], -q[1], -q[2], -q[3]


def about(axis: Vector, angle: float) -> Quaternion:
    """Return the rotation about a unit vector by an angle [rad]."""
    half = math.sin(angle / 2)
    return math.cos(angle / 2), half * axis[0], half * axis[1], half * axis[2]


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Return the rotated vector."""
    _, x, y, z = multiply(multiply(q, (0.0, *v)), inverse(q))
    return x, y, z


def from_rotation_vector(v: Vector) -> Quaternion:
    """Return the rotation about a vector by its length [rad]."""
    angle = math.sqrt(dot(v, v))
    if angle == 0.0:
        return IDENTITY
    return about((v[0] / angle, v[1] / angle, v[2] / angle), angle)


def twist(q: Quaternion, axis: Vector) -> float:
    """Return the twist of a rotation about a unit vector, in [-pi, pi]; rad."""
    angle = 2 * math.atan2(dot(q[1:], axis), q[0])
    return math.remainder(angle, 2 * math.pi)


def swing(q: Quaternion, axis: Vector) -> float:
    """Return the swing of a rotation, by which it tilts a unit vector, in [0, pi]; rad."""
    along = dot(q[1:], axis)
    return 2 * math.atan2(
        math.sqrt(max(0.0, dot(q[1:], q[1:]) - along**2)), math.hypot(q[0], along)
    )


def dot(a: Vector, b: Vector) -> float:
    """Return the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
