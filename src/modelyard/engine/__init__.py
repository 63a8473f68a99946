"""How it is trained: data plane, learner, checkpoints, executors, and the worker process."""
