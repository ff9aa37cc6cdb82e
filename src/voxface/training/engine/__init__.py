"""Engine: everything a training run needs beside its networks, data and losses.

* `run`: one run in a folder: seeds, steps, logging, checkpoints, resuming
* `processes`: the processes of a run, one per device
* `checkpoint`: checkpoints of a run that is under way (`checkpoints/step-*`)
* `optimiser_state`: an optimiser's state as plain tensors, for checkpoints
* `trained_networks`: networks that a run has made, on disk (`checkpoint.json`, `*.safetensors`)
* `trained_experts`: experts from files, our own or published ones
* `learning_curve`: `curve.jsonl` and TensorBoard
* `learning_rate`: learning-rate schedules
* `ema`: exponential moving average of a network's weights
* `best_state`: state of a network at its best validation score
"""
