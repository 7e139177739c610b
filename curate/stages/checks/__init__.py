"""What may be wrong with a folder: checks by what they look at, see `curate.stages.problems`."""
