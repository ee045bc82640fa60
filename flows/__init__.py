"""The Prefect flows: thin, each step a call into the pipeline that the command line uses too."""
