"""DOORS: each adapts one kind of peer to `kaiwa.interfaces.Transport`."""
