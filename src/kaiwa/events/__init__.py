"""WORDS: the immutable values that cross a doorway between rooms. No behaviour.

Names and field shapes follow the GA Realtime vocabulary, so that its codec is nearly the identity.
House audio is mono PCM16 little endian at 24 kHz as `bytes`; audio on a *client* or *server* event
is in the session's own wire format (PCM16 24 kHz or G.711 8 kHz), audio on an *engine* command or
event is always house audio.
"""
