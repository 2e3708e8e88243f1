"""What a model can be compared with: another artifact, baselines, an HTTP endpoint, a prompted LLM."""
