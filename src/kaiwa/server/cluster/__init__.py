"""Several processes that serve as one: who holds what, and how a request comes to its holder."""
