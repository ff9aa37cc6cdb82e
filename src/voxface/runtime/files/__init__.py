"""Files on disk: atomic writes and the user's cache folder."""
