"""The HTTP shell: an ASGI app over the ports that runs without Ray, and one file that wraps it for Ray Serve.

Endpoints, errors, keys and limits are documented in ``docs/api.md``; ``/openapi.json`` is generated from this code.
"""
