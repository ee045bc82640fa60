"""Measurements that take their time: what docs/benchmarks.md and docs/demo_shop.md quote."""
