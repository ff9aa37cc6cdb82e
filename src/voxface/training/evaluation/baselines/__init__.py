"""What the trained systems have to beat: the cascade of Wu 2022, mean faces, and a linear map from simple voice cues."""
