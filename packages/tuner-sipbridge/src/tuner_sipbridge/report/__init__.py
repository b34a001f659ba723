"""Reports of a run: `result.json`, a table in the terminal, and one self-contained HTML page."""
