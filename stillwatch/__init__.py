"""Stillwatch's core: everything that decides, and nothing that does I/O.

Vocabulary (docs and code use these words and no others): a *request event* is one finished model call; an
*account* is the scored principal; an *organisation* is the verified identity that accounts belong to; a
*fingerprint* is a content-free summary of a prompt; a *partition* is one of N hash slots of accounts; a *shard* is
the actor that owns some partitions; a *signal* is one named piece of evidence; a *campaign* is a group of accounts
judged to act as one; a *verdict* is what was decided and why; a *revocation* is an enforced action with an undo.

Nothing in this package (``stillwatch.gateway`` apart, which runs inside gateways) reads a clock, draws randomness or
opens a socket: time and seeds are arguments. import-linter holds that line.
"""

__version__ = "0.1.0"
