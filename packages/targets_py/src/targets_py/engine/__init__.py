"""How a pipeline runs: graph, decision, queue, loop, workers."""
