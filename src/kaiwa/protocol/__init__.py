"""WIRE: bytes to events and back, pure, for both sides of a connection. Knows no session and no socket."""
