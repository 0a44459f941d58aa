"""Measurements: what the pages cost with little and with much data (``python -m bench``), and how fast calls are
charged (``python -m bench charges``). Both work in a private database that is thrown away."""
