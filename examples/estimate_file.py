"""A face and a mesh from one file, with the Python interface: python examples/estimate_file.py [clip.flac]."""

import sys
from pathlib import Path

import voxface

clip = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "sample_male.flac"

with voxface.VoiceToFace() as voice_to_face:
    speech, estimate = voice_to_face.estimate_file(clip)

print(f"{speech.voiced_seconds:.1f} s of speech in {speech.seconds:.1f} s")
print(
    f"picture {estimate.image.shape}, mesh of {len(estimate.vertices)} vertices, confidence {estimate.confidence:.2f}"
)
for name, millimetres in estimate.measurements_mm.items():
    print(f"  {name:<28} {millimetres:6.1f} mm")
