"""ANSWERS: who generates. Each engine fits `kaiwa.interfaces.Engine`."""
