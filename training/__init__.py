"""Synthesis of training images, samplers, losses and the training loop."""
