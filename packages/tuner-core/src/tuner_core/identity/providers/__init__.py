"""One module for each provider: what it is called there, and nothing about how it is found.

Each module's docstring says what the provider documents and what is assumed. To add one, put a module with a
`PROVIDER` here and a fixture into `tests/data/providers`; everything else finds them.
"""
