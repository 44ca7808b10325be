"""WHO AND HOW MUCH: callers, what each may ask for, and how much of it. Knows no request and no route."""
