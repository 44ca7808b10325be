"""The demo's caller: what it says, with its sound, and what each line must lead to."""
