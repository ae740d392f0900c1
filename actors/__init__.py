"""Actors: plain classes that own a core. Only ``host`` and ``handles`` know Ray."""
