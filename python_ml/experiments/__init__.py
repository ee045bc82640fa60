"""Comparisons that are run by hand: peers, ladders, studies."""
