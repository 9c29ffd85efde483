"""What a value, a file and a piece of code hash to."""
