"""A library whose search takes its time, to show that a slow tool does not stop the talk."""
