"""Unit quaternions as plain numbers, wxyz; the product `multiply(a, b)` turns by b, then by a."""

import math

Quaternion = tuple[float, float, float, float]
"""w, x, y, z."""
Vector = tuple[float, float, float]

IDENTITY: Quaternion = (1.0, 0.0, 0.0, 0.0)


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Hamilton's product."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def inverse(q: Quaternion) -> Quaternion:
    """The opposite rotation."""
    return q[0], -q[1], -q[2], -q[3]


def about(axis: Vector, angle: float) -> Quaternion:
    """Rotation about an axis of unit length by an angle [rad]."""
    half = math.sin(angle / 2)
    return math.cos(angle / 2), half * axis[0], half * axis[1], half * axis[2]


def rotate(q: Quaternion, v: Vector) -> Vector:
    """A vector, rotated."""
    _, x, y, z = multiply(multiply(q, (0.0, *v)), inverse(q))
    return x, y, z


def from_rotation_vector(v: Vector) -> Quaternion:
    """Rotation about a vector by its length [rad]."""
    angle = math.sqrt(dot(v, v))
    if angle == 0.0:
        return IDENTITY
    return about((v[0] / angle, v[1] / angle, v[2] / angle), angle)


def twist(q: Quaternion, axis: Vector) -> float:
    """Angle [rad] of the part of a rotation that is about an axis of unit length, in [-pi, pi]."""
    angle = 2 * math.atan2(dot(q[1:], axis), q[0])
    return math.remainder(angle, 2 * math.pi)


def swing(q: Quaternion, axis: Vector) -> float:
    """Angle [rad] by which a rotation turns that axis itself away, in [0, pi]."""
    along = dot(q[1:], axis)
    return 2 * math.atan2(
        math.sqrt(max(0.0, dot(q[1:], q[1:]) - along**2)), math.hypot(q[0], along)
    )


def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
