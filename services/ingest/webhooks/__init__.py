"""Webhooks by Standard Webhooks 1.0.0 (standardwebhooks.com).

Threats and defences:

* **A private address as a receiver** (SSRF). `addresses.py` refuses addresses that are not public.
It checks the address that is connected to, so DNS rebinding has no effect. `post.py` follows no
redirects, reads no proxy from the environment, and stores only an excerpt of the response. The
server's own public address is allowed.
* **A forged message.** Every message is signed with its time (`signatures.py`), and TLS
certificates are verified.
* **A leaked database.** HMAC needs secrets in clear, so a reader of ingest's database can sign
messages: rotate the secrets then. They are shown once, and are in no log line or error.
* **A stolen browser session** can read webhooks, but not change them: a webhook would outlive it.
* **A slow or hostile receiver** holds one thread for seconds and delays no other webhook. After
failures it is called less often, and is disabled after days.
"""
