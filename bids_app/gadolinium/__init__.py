"""``msmorph-gadolinium``: labels of enhancement from scans with contrast agent, for training.

It takes what ``msmorph`` has left of a dataset and its ``ce-*_T1w`` images, and writes a cohort for
``msmorph-train enhancement``: all contrasts and masks on the FLAIR's grid, candidates of
enhancement, and pages to confirm them on.
"""
