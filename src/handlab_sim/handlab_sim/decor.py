"""Visual surroundings of a station: light, camera, floor and sky."""

from collections.abc import Sequence

import mujoco
import numpy as np

CAMERA = "front"
EYE, TARGET = (0.46, -0.40, 0.33), (0.0, 0.0, 0.17)
"""m; position of the camera, and the point at which it looks."""


def decorate(spec: mujoco.MjSpec, table: mujoco.MjsGeom) -> None:
    """Add lights, camera, floor and sky."""
    world = spec.worldbody
    shine = {"specular": [0.2] * 3, "ambient": [0.0] * 3}
    world.add_light(pos=[0.4, -0.5, 1.1], dir=[-0.35, 0.45, -1.0], diffuse=[0.45] * 3, **shine)
    fill = world.add_light(pos=[-0.6, 0.4, 0.9], dir=[0.6, -0.4, -0.8], diffuse=[0.2] * 3, **shine)
    fill.castshadow = False
    world.add_camera(name=CAMERA, pos=EYE, fovy=38, xyaxes=look_at(EYE, TARGET))
    spec.visual.headlight.ambient = [0.4] * 3
    spec.visual.headlight.diffuse = [0.25] * 3
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    spec.visual.quality.shadowsize = 1024
    texture, builtin = mujoco.mjtTexture, mujoco.mjtBuiltin
    spec.add_texture(
        name="floor",
        type=texture.mjTEXTURE_2D,
        builtin=builtin.mjBUILTIN_CHECKER,
        width=256,
        height=256,
        rgb1=[0.80, 0.81, 0.83],
        rgb2=[0.75, 0.76, 0.79],
    )
    material = spec.add_material(name="floor", texrepeat=[12, 12])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    table.material = "floor"
    spec.add_texture(
        type=texture.mjTEXTURE_SKYBOX,
        builtin=builtin.mjBUILTIN_GRADIENT,
        width=64,
        height=64,
        rgb1=[0.93, 0.94, 0.96],
        rgb2=[0.70, 0.75, 0.82],
    )


def look_at(eye: Sequence[float], target: Sequence[float]) -> list[float]:
    """Return the axes x and y of a camera at `eye`, m, that looks at `target`, m; z is up."""
    backward = np.subtract(eye, target)
    right = np.cross([0.0, 0.0, 1.0], backward)
    up = np.cross(backward, right)
    return [*(right / np.linalg.norm(right)), *(up / np.linalg.norm(up))]
