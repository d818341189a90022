"""Sweeps, without stores: points, workers, the engine between them, and what is shown and foretold of it."""
