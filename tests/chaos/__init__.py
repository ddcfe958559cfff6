"""Prove that nothing is lost and nothing is done twice, whatever fails: `make chaos`.

    python -m tests.chaos --documents 30 --kills 8 --seed 1 [--break lease]

The suite runs as on a cluster: each service as separate processes on a real Kafka broker and
PostgreSQL, with two of some workers and relays (edition.py). Clients upload and decide by REST
(people.py), and a receiver gets webhooks. A plan made from the seed (plan.py) kills, stops, cuts
off and slows down processes, fills disks and pulls the plug (trouble.py, proxy.py, disk.py). Events
are delivered twice (events.py). At the end checker.py compares the answers that clients got.

`--break` removes one protection (breaks.py). The checker has to notice it.
"""
