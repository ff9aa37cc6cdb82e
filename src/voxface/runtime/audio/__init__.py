"""Sound in: decoding of files, resampling, voice activity detection."""
