"""One sound file: its face, its mesh and its measurements.

    python examples/01_file.py [clip.flac] [--out FOLDER]

Reads WAV, FLAC, OGG or MP3 of any rate and any number of channels. With --out it writes the picture, the mesh (GLB, PLY, OBJ)
and what is known of them as JSON.
"""

import argparse
import sys
from pathlib import Path

import voxface


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", nargs="?", type=Path, default=Path(__file__).parent / "sample_male.flac")
    parser.add_argument("--out", type=Path, help="folder for the files")
    options = parser.parse_args()
    try:
        with voxface.VoiceToFace() as voice_to_face:
            speech, estimate = voice_to_face.estimate_file(options.clip)
        print(
            f"{speech.voiced_seconds:.1f} s of speech in {speech.seconds:.1f} s, confidence {estimate.confidence:.2f}"
        )
        print(f"picture {estimate.image.shape}, mesh of {len(estimate.vertices)} vertices")
        for name, millimetres in estimate.measurements_mm.items():
            print(f"  {name:<28} {millimetres:6.1f} mm")
        if options.out is not None:
            for path in estimate.save(options.out).values():
                print(path)
    except voxface.VoxfaceError as error:  # a missing file, no speech in it, a damaged bundle: one line says which
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
