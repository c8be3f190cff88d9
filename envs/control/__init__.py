"""Worlds of control: forces as payloads, demonstrations by scripts and people."""
