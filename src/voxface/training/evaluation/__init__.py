"""Evaluation of networks on people who were not learnt from, and `voxface eval`.

* `suites/`: the suites of `voxface eval`, a module each; `run` runs them, `inputs` is what they are given
* `result`, `figures`, `report`, `comparison`: tables and figures; one page of them; two results compared
* `subject`, `predictions`, `recordings`: what is evaluated: a bundle, or files of another method and the names they have
* `leaks`, `test_use`: people are learnt from or evaluated, and test people are looked at once
* `geometry/`, `pictures/`, `matching/`, `hearing/`, `surveys/`: what the suites measure
* `measures/`: rates, intervals and tests
* `baselines/`: what trained networks have to beat
"""
