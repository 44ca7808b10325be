"""Chat completions, responses and embeddings on the wire: what is asked, what is answered, what passes by."""
