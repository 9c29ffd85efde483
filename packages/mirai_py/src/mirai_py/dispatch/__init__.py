"""What the dispatcher is made of: its board, who gets what next, what comes back, what is lost, who is let in."""
