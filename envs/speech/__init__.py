"""Speech: voices as recordings with transcripts, read, aligned and predicted sample by sample."""
