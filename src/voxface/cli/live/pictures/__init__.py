"""Pictures in a terminal: as half blocks in any, as graphics where the terminal says that it has them."""
