"""From a spec to cells: the plan, what it costs, what it lacks, how it is shared out."""
