"""What the house counts and times for Prometheus: names, numbers, moments; never words, keys or callers."""
