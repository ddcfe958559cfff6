"""The proof that nothing is lost and nothing done twice, whatever dies: `make chaos`.

    python -m infra.chaos --documents 30 --kills 8 --seed 1 [--break lease]

The suite runs as it would on a cluster, every service as processes of its own on a real Kafka
broker and a real PostgreSQL, two of some workers and relays (edition.py). From outside, people
upload and decide by REST (people.py) and a receiver hears webhooks, while a plan that follows from
the seed (plan.py) has all of it killed, stopped, cut off, slowed down and kept from writing, pulls
the plug (trouble.py, proxy.py, disk.py), and has events delivered twice (events.py). When all is
over, what was promised is counted from what clients were told (checker.py).

`--break` takes one protection away (breaks.py). The checker must see it, or it sees nothing.
"""
