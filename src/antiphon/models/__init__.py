"""Models that run on this machine, and the store that holds their files.

Holds one module per model, and `manifest`, `store` and `fetch` for the files. Must not import any
of them here: each is imported only by its user, since each brings a heavy library with it.
"""
