"""Webhooks: tells a customer's own server what happens to documents, as Standard Webhooks has it.

Threats, and what stands against them:

* **Somebody registers an address inside our network** (SSRF). `addresses.py` refuses what is not
  public, on the very address that is connected to, so a name that resolves to another one later
  gains nothing; `post.py` follows no redirect, reads no proxy from the environment, and keeps of an
  answer no more than an excerpt. The server's own public address is public, and is not refused.
* **Somebody else calls the receiver.** Every message is signed (`signatures.py`), with the time of
  the attempt; TLS certificates are verified.
* **The database is read.** Secrets have to be there in clear, for HMAC needs them. Whoever reads
  ingest's database can sign what a receiver will believe: rotate the secrets then. They are shown
  once, when made, and never again; no log line and no error has them.
* **A stolen browser session** can read what is registered, and change nothing: a webhook would
  outlive it.
* **A receiver that is slow, endless or hostile** holds one thread for seconds, never longer, and no
  other webhook up; one that keeps failing is left alone more and more, and is disabled after days.
"""
