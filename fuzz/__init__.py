"""Coverage-guided fuzzing of the engine; ``README.md`` says how and what."""
