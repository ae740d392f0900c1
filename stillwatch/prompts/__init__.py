"""Reading a prompt's text for its fingerprint: words, topics, SimHash, skeleton, language, source code.

Every module here is pure and bounded and keeps nothing but what docs/fingerprint.md lists.
"""
