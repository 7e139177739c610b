"""The stages of one module each: functions from tables to tables. `curate.pipeline` knows their order."""
