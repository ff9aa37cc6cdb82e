"""Engine: everything a training run needs beside its networks, data and losses.

* `run`: one run in a folder: seeds, steps, logging, checkpoints, resuming
* `run_folder`: whether a run may begin in a folder or go on there, and its lock
* `run_state`: what a checkpoint holds of a run, saved and restored
* `gradient_descent`: one descent in whatever precision
* `stop_signals`: signals that end a run at the end of its step
* `bad_batch`: the batch of a step whose numbers are not finite
* `processes`: the processes of a run, one per device
* `checkpoint`: checkpoints of a run that is under way (`checkpoints/step-*`)
* `optimiser_state`: an optimiser's state as plain tensors, for checkpoints
* `trained_networks`: networks that a run has made, on disk (`checkpoint.json`, `*.safetensors`)
* `network_building`: networks by name, from architecture and weights
* `trained_faces`: what is known of the faces that networks on disk give
* `bundle_networks`: all networks of a bundle, from one run or several
* `trained_experts`: experts from files, our own or published ones
* `learning_curve`: `curve.jsonl` and TensorBoard
* `learning_rate`: learning-rate schedules
* `ema`: exponential moving average of a network's weights
* `best_state`: state of a network at its best validation score
"""
