"""One straight-line training script each, all hyper-parameters of it in one dataclass."""
