"""Maps to scores: matching, counting, refinement."""
