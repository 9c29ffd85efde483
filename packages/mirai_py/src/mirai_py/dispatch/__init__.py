"""The parts of the dispatcher: its board, who gets what next, what comes back, what is lost, who may come."""
