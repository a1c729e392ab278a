"""Speech to text. The models are large and slow to load, so nothing heavy is imported until it is used."""
