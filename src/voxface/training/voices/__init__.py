"""Voices of many speakers, and what a speaker encoder of others hears in them: data to distil a voice encoder on.

* `listing`: the voices of a folder, their labels and splits
* `channels`: telephone and codecs
* `resemblyzer`, `onnx_teacher`: teachers
* `rendering`: every voice at several speeds, clean and degraded, and the teacher's vectors of each piece
* `renderings`: these on disk
* `sampler`: random crops of them
"""
