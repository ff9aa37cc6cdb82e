"""The moving strip of the README: python docs/make_strip.py (needs Pillow).

A female voice and then a male one are fed to a live session; each frame shows the sound so far, the face and the mesh.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.face.rasteriser import preview
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.provenance.gif_comment import with_gif_mark
from voxface.runtime.voice_to_face import VoiceToFace

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
FRAME_S = 0.6
SIDE = 132
WAVE = 330
GAP = 10
INK, FAINT, BACK = (32, 60, 92), (170, 184, 200), (255, 255, 255)
LARGEST = 400_000


def main() -> None:
    """Writes `strip.gif`."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    frames = []
    with VoiceToFace(threads=1) as voice_to_face:
        model, mark = voice_to_face.morphable, voice_to_face.bundle.mark
        for sex in ("female", "male"):
            sound = np.concatenate(list(read_blocks(EXAMPLES / f"sample_{sex}.flac")))
            newest: Estimate | None = None
            with voice_to_face.stream() as stream:
                hop = round(FRAME_S * SAMPLE_RATE)
                for at in range(0, len(sound), hop):
                    for event in stream.feed(sound[at : at + hop]):
                        if isinstance(event, FaceEstimated):
                            newest = event.estimate
                    frames.append(_frame(sound, min(at + hop, len(sound)), newest, model, len(frames)))
    first, *rest = [frame.quantize(64, dither=Image.Dither.NONE) for frame in frames]
    stored = io.BytesIO()
    first.save(stored, "GIF", save_all=True, append_images=rest, duration=round(1000 * FRAME_S), loop=0, optimize=True)
    if stored.tell() > LARGEST:
        raise SystemExit(f"{stored.tell()} bytes are more than {LARGEST}")
    write_bytes(DOCS / "strip.gif", with_gif_mark(stored.getvalue(), mark))


def _frame(
    sound: NDArray[np.int16], heard: int, estimate: Estimate | None, model: MorphableModel, number: int
) -> Image.Image:
    """One frame: sound, face, mesh."""
    frame = Image.new("RGB", (WAVE + 2 * (SIDE + GAP), SIDE), BACK)
    draw = ImageDraw.Draw(frame)
    columns = np.array_split(np.abs(sound.astype(np.float32)), WAVE // 3)
    loudest = max(float(column.max()) for column in columns)
    for place, column in enumerate(columns):
        high = max(1.0, 0.42 * SIDE * float(column.max()) / loudest)
        colour = INK if place < len(columns) * heard / len(sound) else FAINT
        draw.line([(3 * place, SIDE / 2 - high), (3 * place, SIDE / 2 + high)], colour, 2)
    if estimate is None:
        font = ImageFont.load_default(14)
        draw.text((WAVE + GAP + 20, SIDE / 2 - 8), "no face yet", FAINT, font)
        return frame
    face = Image.fromarray(estimate.image).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    frame.paste(face, (WAVE + GAP, 0))
    mesh = preview(estimate.vertices, model.triangles, model.albedo, yaw=25 * float(np.sin(number / 3)), size=SIDE)
    frame.paste(Image.fromarray(mesh), (WAVE + SIDE + 2 * GAP, 0))
    return frame


if __name__ == "__main__":
    main()
