"""The engine of warmup-bench.

spec -> plan -> cells -> (train -> decode -> score) -> store -> compare -> report

==============  =======================================================
``planning``    from a spec to cells, and what they cost
``training``    the one loop and the rollout core of every method
``decode``      inference
``metrics``     statistics of an example, and scores of their sums
``storage``     what a results folder holds
``executors``   where the stages of a plan run
``stats``       tests, intervals, power
``report``      tables and plots
``backbones``   models and tokenizers
``check``       what a plugin must be
``cli``         the commands
==============  =======================================================

Nothing in this package knows a task, a method, a metric or a backbone by name; they arrive through
:mod:`harness.registry`.
"""
