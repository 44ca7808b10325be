"""MIND: the conversation as a pure state machine. Knows no socket, clock, task or randomness."""
