"""Many deployments behind one model name: who is asked, who rests, and what each of them was like.

The core is pure: time comes in as `now` (seconds of one monotonic clock), chance from a function. It opens
no connection. `deployment` has the values, `pool` the choice, `lease` one attempt.
"""
