"""Is this webhook from the provider? Authentic, or refused.

```python
from tuner_core import webhooks

twilio = webhooks.twilio(auth_token=os.environ["TWILIO_AUTH_TOKEN"], public_url="https://agent.example.com")
twilio.check(webhooks.WebhookRequest.from_asgi(request.scope, await request.body()))   # or WebhookRefused
```

The signatures are checked by the vendors' own packages, which are extras: `pip install 'tuner-core[twilio]'`.
"""

from __future__ import annotations

from tuner_core.webhooks.exotel_token import ExotelWebhooks as exotel
from tuner_core.webhooks.plivo_signature import PlivoWebhooks as plivo
from tuner_core.webhooks.request import WebhookRequest
from tuner_core.webhooks.seen import SeenInMemory, SeenInRedis, SeenStore
from tuner_core.webhooks.telnyx_signature import TelnyxWebhooks as telnyx
from tuner_core.webhooks.twilio_signature import TwilioWebhooks as twilio
from tuner_core.webhooks.validator import Reason, WebhookRefused, WebhookValidator
from tuner_core.webhooks.vonage_token import VonageWebhooks as vonage

__all__ = [
    "Reason",
    "SeenInMemory",
    "SeenInRedis",
    "SeenStore",
    "WebhookRefused",
    "WebhookRequest",
    "WebhookValidator",
    "exotel",
    "plivo",
    "telnyx",
    "twilio",
    "vonage",
]
