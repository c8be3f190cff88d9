"""What worlds and tools share: files written whole, torch imported when it is used, checks of captured operations."""
