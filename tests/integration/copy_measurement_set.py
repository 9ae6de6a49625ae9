#!/usr/bin/python3
"""Copies a Measurement Set cell by cell in the other byte order: copy_measurement_set.py X.ms Y.ms"""
import sys

from casacore.tables import table

with table(sys.argv[1], ack=False) as main:
    main.copy(sys.argv[2], deep=True, valuecopy=True, endian="big").close()
