"""The composition root: the only place that reads files and the environment, and that knows everybody."""
