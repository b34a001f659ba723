"""The proof of delivery: thousands of records, an unreliable API, and processes killed at random.

`python -m bench.core.proof` runs it and prints its figures; `tests/loopback/test_delivery_proof.py` asserts them.
"""
