"""What users write into `_targets.py`: targets, patterns, cues, options."""
