"""Accounts that act alike: linkage proposes groups, content tests them, evidence decides. Pure and deterministic."""
