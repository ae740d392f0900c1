"""The fault harness: real processes under load, seeded faults, and what must still hold at the end (docs/chaos.md)."""
