"""Batch of simulations on a graphics card, by MuJoCo Warp (github.com/google-deepmind/mujoco_warp).

`WarpBatch` has those parts of `mujoco.batch.Batch` that `handlab_sim.backend` uses. States and
fields of the models stay in a `Batch` of MuJoCo, which resets them and computes what follows from
them; only steps run on the graphics card, in single precision. The states travel there and back
with every call of `step`, which is a small part of its time.
"""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS, Batch

from handlab_core.errors import BadConfig, StationFault
from handlab_core.types import Array, IntArray

GPU, CPU = "cuda:0", "cpu"
"""Names of devices in Warp; the second is for tests of agreement and slow."""

INSTALL = "install it with: .venv/bin/pip install -r requirements-gpu.lock"

CONTACTS = 64
"""Contacts of a world for which there is memory on average; a claw on its valve has up to 20."""
ROWS = 4
"""Rows of one contact with torsional friction, in an elliptic cone."""

STATE = ("time", "qpos", "qvel", "qacc_warmstart", "ctrl", "history")
"""Arrays that the next step depends on; our models have no more."""
NO_GRAPH = object()
"""Stands for the graph of a device that has none."""
LIVE = ("actuator_forcerange", "actuator_delay", "jnt_stiffness", "qpos_spring")
"""Fields of a model that change between steps, without a call of `set_const`."""
UNREAD = ("bvh_aabb", "dof_length")
"""Fields of a model that steps on the graphics card do not read."""


class WarpBatch:
    """N simulations of one model; see `mujoco.batch.Batch`.

    Equal calls give nearly equal results on a graphics card: its sums come in any order. In a fixed
    order an H200 was slower than the processor beside it, and its results were not equal either.

    Args:
        model: compiled model.
        nsim: number of simulations.
        nthread: threads that compute constants of the models.
        device: GPU or CPU.

    Raises:
        BadConfig: Warp is not installed, or it finds no such device.
    """

    def __init__(
        self, model: mujoco.MjModel, nsim: int, nthread: int = 0, device: str = GPU
    ) -> None:
        self._warp, self._mjw = _import()
        self._device = _find(self._warp, device)
        self._nsim, self._source = nsim, model
        self._host = Batch(model, nsim, nthread)
        names = [name for name in STATE if name != "history" or model.nhistory]
        self._state = {name: self._host.bind(name) for name in names}
        self._force = np.zeros((nsim, model.nu))
        self._live: dict[str, Array] = {}
        self.warning = np.zeros((nsim, len(self._host.warning[0])), dtype=np.int64)
        """Numbers of warnings, (N, kinds); only those of positions that are not finite."""
        self._model: Any = None
        self._data: Any = None
        self._graph: Any = None
        self._stale = False

    @property
    def state(self) -> Array:
        """Complete states, one row for each simulation."""
        state: Array = self._host.state
        return state

    def bind(self, name: str) -> Array:
        """Return a live array of a field of the state, or of `actuator_force`."""
        if name == "actuator_force":
            return self._force
        bound: Array = self._state[name]
        return bound

    def expand(self, name: str) -> Array:
        """Return values of a field of the model, one row for each simulation; they may be set."""
        self._stale = True
        values: Array = self._host.expand(name)
        if name in LIVE:
            self._live[name] = values
        return values

    def set_const(self) -> None:
        """Compute constants of the models that follow from expanded fields."""
        self._host.set_const()
        self._stale = True

    def reset(self, ids: IntArray | None = None) -> None:
        """Reset simulations to the defaults of the model."""
        self._host.reset(ids=ids)
        rows = slice(None) if ids is None else ids
        self._force[rows], self.warning[rows] = 0.0, 0

    def step(self, ids: Sequence[int] | IntArray | None = None, nstep: int = 1) -> None:
        """Advance simulations by some steps.

        Raises:
            StationFault: there are more contacts than the memory holds.
        """
        if self._data is None:
            self._begin()
        if self._stale:
            self._upload_fields()
        else:
            for name, values in self._live.items():
                self._put(name, values)
        self._upload_state()
        if self._graph is None:
            self._capture()
        for _ in range(nstep):
            self._advance()
        self._fetch(slice(None) if ids is None else np.asarray(ids))

    def _begin(self) -> None:
        """Copy the model to the device."""
        mjw, rows = self._mjw, ROWS * CONTACTS + 2 * self._source.nv  # two limits of each joint
        data = mujoco.MjData(self._source)
        with self._warp.ScopedDevice(self._device):
            self._model = mjw.put_model(self._source)
            # Boxes then touch by the same rule as in MuJoCo; all other pairs as before.
            self._model.opt.disableflags |= mjw.DisableBit.NATIVECCD
            if self._device.is_cpu:
                self._model.opt.deterministic = mjw.DeterminismType.ALL
            self._model.opt.warn_overflow = 0  # printed by the device; here it is an error
            self._data = mjw.put_data(
                self._source, data, nworld=self._nsim, nconmax=CONTACTS, njmax=rows
            )
        self._stale = True

    def _upload_fields(self) -> None:
        for name in MODEL_FIELDS:
            values = self._host.expanded(name)
            if values is not None and name not in UNREAD:
                self._put(name, values)
        self._stale = False

    def _put(self, name: str, values: Array) -> None:
        """Set a field of the models on the device; the graph refers to arrays by their place."""
        old = getattr(self._model, name, None)
        if old is None:  # a field of a whole model, such as its extent
            return
        shape = (*old.shape[1:], *getattr(old.dtype, "_shape_", ()))  # a vector is one element
        if old.shape[0] == self._nsim:
            self._assign(old, values)
        elif old.shape[0] == 1 and values[0].size == np.prod(shape):
            kind = self._kind(old)
            new = np.ascontiguousarray(values.reshape(self._nsim, *shape), dtype=kind)
            setattr(self._model, name, self._warp.array(new, dtype=old.dtype, device=self._device))
            self._graph = None
        elif (values != values[:1]).any():
            raise BadConfig(f"{name} is one value for all worlds of a graphics card")
        else:
            self._assign(old, values[0])

    def _assign(self, array: Any, values: Array) -> None:
        """Copy an array to the device, where a vector is one element."""
        kind = self._kind(array)
        shape = (*array.shape, *getattr(array.dtype, "_shape_", ()))
        array.assign(np.ascontiguousarray(values.reshape(shape), dtype=kind))

    def _kind(self, array: Any) -> Any:
        """Return the numpy type of the numbers in an array of numbers or vectors."""
        return self._warp.dtype_to_numpy(getattr(array.dtype, "_wp_scalar_type_", array.dtype))

    def _upload_state(self) -> None:
        for name, values in self._state.items():
            self._assign(getattr(self._data, name), values)

    def _capture(self) -> None:
        """Step once, which compiles, and record a step as a graph where the device has graphs."""
        with self._warp.ScopedDevice(self._device):
            self._mjw.step(self._model, self._data)
            if self._device.is_cuda:
                with self._warp.ScopedCapture() as capture:
                    self._mjw.step(self._model, self._data)
                self._graph = capture.graph
            else:
                self._graph = NO_GRAPH
        self._data.overflow.zero_()
        self._upload_state()

    def _advance(self) -> None:
        if self._graph is not NO_GRAPH:
            self._warp.capture_launch(self._graph)
        else:
            with self._warp.ScopedDevice(self._device):
                self._mjw.step(self._model, self._data)

    def _fetch(self, rows: Any) -> None:
        """Take over the new states of some simulations."""
        data, kinds = self._data, self._mjw.OverflowType
        lost = data.overflow.numpy() & int(
            kinds.NEFC | kinds.NJMAX_NNZ | kinds.BROADPHASE | kinds.NARROWPHASE | kinds.CCD
        )
        if lost.any():
            raise StationFault(
                f"robots {np.flatnonzero(lost).tolist()} have more contacts than the graphics card "
                f"has memory for, {CONTACTS} in each world"
            )
        for name, values in self._state.items():
            if name != "ctrl":
                values[rows] = getattr(data, name).numpy().reshape(values.shape)[rows]
        self._force[rows] = data.actuator_force.numpy()[rows]
        sick = ~np.isfinite(self._state["qpos"]).all(axis=1)
        self.warning[:, int(mujoco.mjtWarning.mjWARN_BADQPOS)] = sick


def _import() -> tuple[Any, Any]:
    """Import Warp and MuJoCo Warp."""
    try:
        import mujoco_warp
        import warp
    except ImportError:
        raise BadConfig(
            f"hardware mujoco_gpu needs the package mujoco_warp, which is optional; {INSTALL}"
        ) from None
    warp.config.quiet = True
    warp.init()
    return warp, mujoco_warp


def _find(warp: Any, name: str) -> Any:
    """Return a device by its name."""
    if name == GPU and not warp.is_cuda_available():
        raise BadConfig(
            "hardware mujoco_gpu found no CUDA device; choose --hardware mujoco, or look for the "
            "driver with nvidia-smi"
        )
    return warp.get_device(name)
