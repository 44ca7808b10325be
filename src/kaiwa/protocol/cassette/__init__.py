"""Cassettes: conversations as they were on the wire, written down line by line, and played again.

Knows lines, what is blackened in them, and when a frame may differ from a recorded one. Opens no socket
or file.
"""
