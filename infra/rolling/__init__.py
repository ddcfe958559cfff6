"""An upgrade under load: what clients see of it, and whether anything is lost or done twice.

python -m infra.rolling [--documents N] [--seed S] [--from COMMIT] [--together]

The program of an earlier commit serves, on a real Kafka broker and PostgreSQL, each service as its
own processes. People upload, wait for results and decide without a pause. Meanwhile the databases
are migrated to the head of today's program while the old processes still run, and then every
process is replaced, as `infra/kubernetes` has it: the successor is ready first, the old one gets
nothing new for five seconds, is asked to end (SIGTERM) and is waited for. Then everything that
anybody was told is counted. It needs Java 17, PostgreSQL and the history of this repository.
"""
