"""What an inference platform imports: report request events, learn who must not pass.

Needs no Ray, no River and no web framework. In any ASGI application::

    import nats
    from stillwatch.gateway import Enforcer, Publisher, StillwatchMiddleware

    client = await nats.connect("nats://stillwatch:4222", max_reconnect_attempts=-1)
    publisher, enforcer = Publisher(client), Enforcer(client)
    await enforcer.start()
    app = StillwatchMiddleware(app, publisher, enforcer, secret=key_of_the_deployment)
    ...
    await publisher.drain()

Or by hand: ``publisher.publish(RequestEvent(...))`` after each call and ``enforcer.check(account)`` before it.
docs/gateway.md tells the rest.
"""

from stillwatch.event import RequestEvent
from stillwatch.fingerprint import Fingerprint, fingerprint
from stillwatch.gateway.enforcer import Enforcer, EnforcerStats
from stillwatch.gateway.identity import Identity, bearer_identity, hmac_account
from stillwatch.gateway.middleware import MiddlewareStats, StillwatchMiddleware
from stillwatch.gateway.publisher import Publisher, PublisherStats
from stillwatch.gateway.refusal import refuses

__all__ = [
    "Enforcer", "EnforcerStats", "Fingerprint", "Identity", "MiddlewareStats", "Publisher", "PublisherStats",
    "RequestEvent", "StillwatchMiddleware", "bearer_identity", "fingerprint", "hmac_account", "refuses",
]  # fmt: skip
