"""State machines of the server: they are told the time, and know no thread, no socket and no engine."""
