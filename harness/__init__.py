"""The engine of warmup-bench.

spec -> plan -> cells -> (train -> decode -> score) -> store -> compare -> report

Nothing in this package knows a task, a method, a metric or a backbone by name; they arrive through
:mod:`harness.registry`.
"""
