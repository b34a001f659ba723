"""The local Tuner: Create Call as the contract has it, simulations, linking, faults on purpose, and pages to look at.

`LocalTuner` (in `server`, and in `tuner_core.testing`) runs one inside a test or a demo; `tuner local` runs one in a
terminal. Both need the extra `local`; `validation`, `linking` and `faults` work without it.
"""
