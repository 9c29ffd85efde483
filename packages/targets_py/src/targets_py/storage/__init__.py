"""What lies on disk: metadata, lock, objects."""
