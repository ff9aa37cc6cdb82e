"""How good networks are: errors, rates and their intervals, on people they have not met."""
