"""Sound in and out: the microphone, sound files, the speaker, and where in a take somebody speaks."""
