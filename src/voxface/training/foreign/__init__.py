"""Files that other programs saved with pickle or PyTorch, read without running anything in them.

| module | what it reads |
|---|---|
| `pickles` | a pickle's program, as data: names, calls and containers |
| `pickled_arrays` | NumPy arrays in a pickle |
| `pickled_tensors` | PyTorch tensors in a pickle, and their storages |
| `torch_files` | files of `torch.save`, of safetensors and of `pickle.dump`, as such data |
| `state_dicts` | the weights of one network, by name, wherever such a file holds them |
"""
