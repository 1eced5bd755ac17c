"""Thin Nipype interfaces: traits in, traits out, one call down."""
