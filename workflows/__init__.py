"""Nipype workflow factories, one file a room."""
