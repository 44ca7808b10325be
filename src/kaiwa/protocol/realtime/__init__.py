"""The Realtime protocol's frames. `ga` speaks the generally available shape."""
