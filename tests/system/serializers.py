"""Bodies that schemathesis does not know how to send; it loads this file (SCHEMATHESIS_HOOKS)."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
