"""Ladders: each prediction climbed rung by rung, as it is often done and as it holds in time.

A rung is a few declared lines (:mod:`rungs`); one runner climbs them all (:mod:`runner`), each on
the same cut of the shop under two protocols (:mod:`cuts`). `smartretail experiment` prints it all.
"""
