"""NATS: the only folder that speaks JetStream. Implements the ports of ``stillwatch.ports``, and knows nobody else.

``hub.jetstream_hub`` gives all of them over one connection; ``memory.MemoryNats`` gives their in-memory twins. What a
port *decides* is written once, over two small protocols (``bucket.Bucket``, ``journal.Journal``) with two
implementations each, so the twins can not drift apart from the real ones.
"""
