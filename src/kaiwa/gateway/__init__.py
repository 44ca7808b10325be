"""THE RELAY: one client's request, one deployment's answer, and every byte between them.

`stream` is one answer that streams, `attempt` what one deployment made of it, `whole` an answer in one piece;
`gateway` chooses, `streams` knows all that run. Knows no route and no key of the house.
"""
