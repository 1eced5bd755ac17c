"""MSMorph's command: parser, configuration, BIDS query, levels, derivatives and reports."""

__version__ = "0.1.0"
