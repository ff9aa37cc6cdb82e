"""Data that the trainers learn from.

* `pairs`: people with voices, pictures and coefficients, in a folder and in memory
* `fits`: faces fitted to single pictures, several of a person
* `speech_corpus`, `speaker_splits`, `ages`: recordings of known speakers, their splits and ages
* `sound_clips`, `synthetic_music`: clips of speech, noise and music, to tell speech from other sound
* `crops`: random crops of voices; positives and negatives
* `embeddings`: embeddings of voices by a frozen encoder
* `voice_face_sampler`: batches of the face GAN
* `images`: random pictures of people; conversion between pictures and what networks take
* `expert_renders`: renders that the expert learns from
* `kept_arrays`: what a training has made and a resumed one takes from its folder
* `voice_augmentation`, `expert_augmentation`, `differentiable_augmentation`: of speech, renders, and what a critic gets
* `parallel_map`: work on many items in several processes; `ray_tasks`: on several machines
"""
