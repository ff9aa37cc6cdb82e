"""Rates, intervals and tests that several suites share.

* `intervals`: confidence intervals; `significance`: paired differences and permutation tests
* `verification`: EER and AUC; `verification_intervals`: with intervals over people
* `sex_probability`: how steeply a mesh speaks for its speaker's sex
"""
