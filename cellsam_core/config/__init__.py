"""Config and sample sheet of the workflow: schema, reading and checks."""
