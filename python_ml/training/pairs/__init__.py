"""Pairs of customer and item: first-stage models, candidates, rankers and how they are measured."""
