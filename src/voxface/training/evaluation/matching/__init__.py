"""Voices and faces compared: matching, verification and retrieval, on drawn trials and on public lists.

* `association`: 1 of N, verification and retrieval on embeddings; `chance`: what they give by chance
* `drawn_trials`, `matching_trials`, `tally`: trials drawn from people, streamed; `closed_set`: whose face it is
* `matching_baselines`: DIMNet- and SVHF-style classifiers on the same people
* `public_lists`, `trial_lists`, `pickled_trial_lists`: the public lists
* `embeddings_file`, `public_list_scores`: vectors of their voices and faces, and what these score
* `association_*`: the suite: on lists, on people of pairs, its tables and published figures
"""
