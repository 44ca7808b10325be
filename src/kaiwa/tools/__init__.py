"""ACTS: Python functions as tools of a conversation, and the agents that own them."""
