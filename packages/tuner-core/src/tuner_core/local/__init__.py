"""The local Tuner: Create Call as the contract has it, simulations, linking, and pages to look at.

`LocalTuner` (in `server`) runs one inside a test or a demo; `tuner local` runs one in a terminal. Both need
the extra `local`; `validation` and `linking` work without it.
"""
