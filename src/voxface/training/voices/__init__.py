"""Voices of many speakers, and what a speaker encoder of others hears in them: data to distil a voice encoder on.

* `listing`: the voices of a folder, their labels and splits
* `channels`: telephone and codecs
* `resemblyzer`, `onnx_teacher`: teachers
* `renderings`: every voice at several speeds, clean and degraded, with what the teacher says of each piece
"""
