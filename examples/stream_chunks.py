"""The front end fed in small chunks, as a microphone would: the same speech and features as from the whole file."""

from pathlib import Path

import numpy as np

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.features.front_end import FrontEnd
from voxface.runtime.voice_to_face import VoiceToFace

samples = np.concatenate(list(read_blocks(Path(__file__).parent / "sample_female.flac")))

front_end = FrontEnd()
for start in range(0, len(samples), 160):  # 10 ms at a time
    front_end.feed(samples[start : start + 160])
speech = front_end.finish()

with VoiceToFace() as voice_to_face:
    estimate = voice_to_face.estimate(speech)
print(f"{len(speech.segments)} segments, {estimate.frames} frames, sex of the face: {estimate.attributes.sex}")
