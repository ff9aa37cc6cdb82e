"""The live window, drawn with Open3D: the moving mesh; beside it the image, the sound's level, confidence and latency."""

import importlib.util
import os
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.cli.live.display import why_no_display
from voxface.cli.live.panel import HEIGHT as PANEL_HEIGHT
from voxface.cli.live.panel import WIDTH as PANEL_WIDTH
from voxface.cli.live.panel import face_side, panel, scale_bar
from voxface.cli.live.screen_scale import screen_scale
from voxface.cli.live.status import status
from voxface.runtime.errors import ProviderError
from voxface.runtime.face.heat_map import heat_colours, scale_end
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.resize import resized
from voxface.runtime.install_advice import how_to_install
from voxface.runtime.live.events import FaceEstimated, SpeakerChanged

if TYPE_CHECKING:
    from voxface.runtime.face.morphable_model import MorphableModel
    from voxface.runtime.live.audio_input import Audio
    from voxface.runtime.live.pipeline import Pipeline
    from voxface.runtime.live.sink_worker import SinkEvent

# Mesa and NVIDIA's driver keep compiled shaders in the user's cache folder; a few small ones are compiled anew instead.
NO_SHADER_CACHE: Final = {"MESA_SHADER_CACHE_DISABLE": "true", "__GL_SHADER_DISK_CACHE": "0"}
WIDTH, HEIGHT = 960, 720  # pixels at scale 1
FINER = 1.25  # pixels of the panel for each that it takes on the screen: the view is not quite its size
FRAMES_A_SECOND = 30
FOLLOW = 0.35  # share of the way to the newest estimate that the mesh moves each frame
ARRIVED_MM = 0.01
PANEL_EVERY = 3  # frames
ZOOM = 0.62
YAW = np.deg2rad(25)
AMBIENT = 0.28
LIGHTS = (((0.45, 0.6, 0.8), 0.75), ((-0.8, 0.1, 0.5), 0.25))  # key and fill: direction towards the light, strength


def try_window() -> dict[str, Any]:
    """Opens a window for a moment: whether that is `ok`, whether Open3D `loads`, and `why` not.

    It is a visible one, since Open3D draws others off screen, which may work where a window does not. A driver may end the
    process in doing so: call it in a process of its own.
    """
    found: dict[str, Any] = {"ok": True, "loads": True}
    try:
        _load_open3d()
    except ProviderError as error:
        found = {"ok": False, "loads": False, "why": str(error)}
    try:
        _, view = _open_view(visible=True)
        view.destroy_window()
    except ProviderError as error:
        found |= {"ok": False, "why": str(error)}
    return found


def _open_view(*, visible: bool, scale: float = 1.0) -> tuple[Any, Any]:
    """Open3D and an open view; one that is not visible is drawn off screen."""
    if visible and (why := why_no_display()) is not None:
        raise ProviderError(f"no window can be opened: {why}; use --show terminal or --show none")
    open3d = _load_open3d()
    open3d.utility.set_verbosity_level(open3d.utility.VerbosityLevel.Error)
    view = open3d.visualization.VisualizerWithKeyCallback()
    if not view.create_window("voxface", round(WIDTH * scale), round(HEIGHT * scale), visible=visible):
        raise ProviderError("no window can be opened: Open3D makes none on this display; use --show terminal")
    return open3d, view


def _load_open3d() -> Any:
    if importlib.util.find_spec("open3d") is None:
        raise ProviderError(f"no window without Open3D; {how_to_install('viewer')}, or use --show terminal")
    for name, value in NO_SHADER_CACHE.items():
        os.environ.setdefault(name, value)
    # Open3D imports plotting libraries, one of which opens a socket to learn whether there is IPv6. Nothing here needs one.
    had_ipv6, socket.has_ipv6 = socket.has_ipv6, False
    try:
        import open3d
    except (ImportError, OSError) as error:  # a shared library that is missing
        raise ProviderError(
            f"no window: Open3D does not load ({' '.join(str(error).split())}); use --show terminal"
        ) from error
    finally:
        socket.has_ipv6 = had_ipv6
    return open3d


class Window:
    """Draws when the main thread asks; closing it ends the run.

    Attributes:
        frames: frames drawn.
        uncertain: whether the mesh has the colours of its uncertainty, which the key U switches on and off.
    """

    name = "window"
    keeps_all = False
    wants_audio = True

    def __init__(
        self,
        pipeline: "Pipeline",
        model: "MorphableModel",
        *,
        visible: bool = True,
        frames_a_second: float = FRAMES_A_SECOND,
        uncertain: bool = False,
        scale: float | None = None,
    ) -> None:
        """Opens the window; one that is not `visible` needs no display.

        Args:
            scale: pixels of the screen for each of an ordinary one; None: as the screen has it.

        Raises:
            ProviderError: Open3D is missing, there is no display, or no window can be made here.
        """
        self._pipeline, self._model = pipeline, model
        scale = scale or (screen_scale() if visible else 1.0)
        # Windows of macOS are measured in points, which have two pixels on most of its screens.
        self._panel_scale = FINER * (2.0 if sys.platform == "darwin" else scale)
        self._o3d, self._view = _open_view(visible=visible, scale=scale)
        self._newest: SinkEvent | None = None
        self._peaks: deque[float] = deque(maxlen=128)
        self._at = model.mean_faces[0] / 2 + model.mean_faces[1] / 2
        self._target = self._at
        self._enlarged: tuple[int, NDArray[np.uint8] | None] = (-1, None)
        self._interval = 1 / frames_a_second if frames_a_second else 0.0
        self._next = 0.0
        self._open = True
        self.frames = 0
        self.uncertain = uncertain
        self._largest = 0.0  # millimetres, the end of the scale; it only grows, so that colours keep their meaning
        self._spread: NDArray[np.float32] | None = None
        self._set_up()
        self._view.register_key_callback(ord("U"), self._switch)

    def audio(self, audio: "Audio") -> None:
        """Adds to the waveform."""
        self._peaks.append(float(np.abs(audio.samples.astype(np.int32)).max(initial=0)) / 32768)

    def event(self, sink_event: "SinkEvent") -> None:
        """Keeps the newest face."""
        if isinstance(sink_event.event, FaceEstimated):
            self._newest = sink_event
            self._target = sink_event.event.estimate.vertices
            self._measure()
        elif isinstance(sink_event.event, SpeakerChanged):
            self._newest = None
            self._spread = None

    def draw(self) -> bool:
        """Draws a frame if one is due; False once the user closed the window."""
        now = time.monotonic()
        if not self._open or now < self._next:
            return self._open
        self._next = max(now, self._next + self._interval)
        step = self._target - self._at
        if np.abs(step).max() > ARRIVED_MM:
            self._at = self._at + np.float32(FOLLOW) * step
            self._move()
        if self.frames % PANEL_EVERY == 0:
            self._flat.textures = [self._o3d.geometry.Image(self._panel())]
            self._view.update_geometry(self._flat)
        self._open = bool(self._view.poll_events())
        self._view.update_renderer()
        self.frames += 1
        return self._open

    def picture(self) -> NDArray[np.uint8]:
        """The contents of the window, uint8 [H, W, 3], with the mesh at the end of its movement."""
        self._at = self._target
        self._move()
        self._flat.textures = [self._o3d.geometry.Image(self._panel())]
        self._view.update_geometry(self._flat)
        self._view.poll_events()
        shown = np.asarray(self._view.capture_screen_float_buffer(do_render=True))
        pixels: NDArray[np.uint8] = np.rint(shown * 255).astype(np.uint8)
        return pixels

    def close(self) -> None:
        """Closes the window."""
        if self._view is not None:
            self._view.destroy_window()
            self._view = None
            self._open = False

    def _switch(self, _view: Any) -> bool:
        """The key U: the colours of the uncertainty, or those of a face. Returns whether Open3D has to redraw its geometry."""
        self.uncertain = not self.uncertain
        self._measure()
        self._move()
        return False

    def _measure(self) -> None:
        """The uncertainty of the newest face, while it is shown."""
        event = self._newest.event if self._newest else None
        posterior = event.estimate.posterior if self.uncertain and isinstance(event, FaceEstimated) else None
        self._spread = None if posterior is None else posterior.vertex_sd_mm
        if self._spread is not None:
            self._largest = max(self._largest, scale_end(self._spread))

    def _set_up(self) -> None:
        o3d, model = self._o3d, self._model
        vectors, triangles = o3d.utility.Vector3dVector, o3d.utility.Vector3iVector
        self._turn = np.array([[np.cos(YAW), 0, np.sin(YAW)], [0, 1, 0], [-np.sin(YAW), 0, np.cos(YAW)]], np.float32)
        self._linear = model.albedo.astype(np.float32) ** 2.2
        self._head = o3d.geometry.TriangleMesh(vectors(self._turned().astype(np.float64)), triangles(model.triangles))
        self._head.vertex_colors = vectors(self._shaded().astype(np.float64))
        low, high = self._turned().min(0), self._turned().max(0)
        tall = 1.25 * float(high[1] - low[1])
        wide = tall * PANEL_WIDTH / PANEL_HEIGHT
        left, bottom = float(high[0]) + 15, float(low[1] + high[1]) / 2 - tall / 2
        depth = float(high[2])
        corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
        self._flat = o3d.geometry.TriangleMesh(
            vectors(np.c_[left + wide * corners[:, 0], bottom + tall * corners[:, 1], np.full(4, depth)]),
            triangles(np.array([[0, 1, 2], [0, 2, 3]], np.int32)),
        )
        places = np.c_[corners[:, 0], 1 - corners[:, 1]]
        self._flat.triangle_uvs = o3d.utility.Vector2dVector(places[[0, 1, 2, 0, 2, 3]])
        self._flat.triangle_material_ids = o3d.utility.IntVector([0, 0])
        self._flat.vertex_normals = vectors(np.tile([0.0, 0.0, 1.0], (4, 1)))
        self._flat.textures = [o3d.geometry.Image(self._panel())]
        self._view.add_geometry(self._head)
        self._view.add_geometry(self._flat)
        look = self._view.get_render_option()
        look.background_color = np.array([28, 30, 34]) / 255
        look.mesh_show_back_face = True
        look.light_on = False  # light is in the colours of the vertices, the same on every graphics card
        camera = self._view.get_view_control()
        middle = [(float(low[0]) + left + wide) / 2, float(low[1] + high[1]) / 2, depth / 2]
        camera.change_field_of_view(step=-90)  # as narrow as it goes, for the panel is flat and the head nearly so
        camera.set_lookat(middle)
        camera.set_front([0.0, 0.0, 1.0])
        camera.set_up([0.0, 1.0, 0.0])
        camera.set_zoom(ZOOM)

    def _move(self) -> None:
        vectors = self._o3d.utility.Vector3dVector
        self._head.vertices = vectors(self._turned().astype(np.float64))
        self._head.vertex_colors = vectors(self._shaded().astype(np.float64))
        self._view.update_geometry(self._head)

    def _turned(self) -> NDArray[np.float32]:
        turned: NDArray[np.float32] = self._at @ self._turn.T
        return turned

    def _shaded(self) -> NDArray[np.float32]:
        """Colours float32 [N, 3] under a light that stays where it is."""
        normals = vertex_normals(self._turned(), self._model.triangles)
        light = np.full(len(normals), AMBIENT, np.float32)
        for direction, strength in LIGHTS:
            towards = np.array(direction, np.float32)
            light += strength * np.clip(normals @ (towards / np.linalg.norm(towards)), 0, None)
        own = self._linear if self._spread is None else heat_colours(self._spread, self._largest) ** 2.2
        colours: NDArray[np.float32] = np.clip(own * light[:, None], 0, 1) ** (1 / 2.2)
        return colours

    def _face(self, event: FaceEstimated) -> NDArray[np.uint8]:
        """The image of a face as the panel shows it; there are several panels of each."""
        position, image = self._enlarged
        if image is None or position != event.position:
            image = resized(event.estimate.image, face_side(self._panel_scale))
            self._enlarged = event.position, image
        return image

    def _panel(self) -> NDArray[np.uint8]:
        event = self._newest.event if self._newest else None
        face = self._face(event) if isinstance(event, FaceEstimated) else None
        lines = status(self._pipeline, self._newest)
        scale = self._panel_scale
        image = panel(face, lines, self._peaks, speaking=self._pipeline.session.speaking, scale=scale)
        if self._spread is not None:
            scale_bar(image, self._largest, scale)
        return image
