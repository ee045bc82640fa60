"""Experiments: what judges a design, beside the road; nothing that is published needs them."""
