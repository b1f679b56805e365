"""What the summarisation tasks share."""

METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum", "bertscore")
