"""Voices: who speaks, what they tell of the speaker, and how estimates grow with what is heard.

* `speaker_trials`, `speaker_told`, `voice_systems`: voice encoders compared: verification, sex and age
* `linear_probe`: what a straight line reads off embeddings
* `evaluated_voices`, `heard_people`, `person_ages`: whose recordings the suites take
* `speech_windows`, `noises`: parts of speech; noise alone and beside a voice
* `voice_prefixes`, `streaming_view`, `streaming_tables`, `streaming_figures`: estimates by seconds heard
* `calibration_curves`: whether what is given 80 % happens eight times in ten
* `vertex_heat`: movement of vertices as a heat map
"""
