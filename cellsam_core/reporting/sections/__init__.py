"""Sections of the report: texts, tables and figures on one subject each."""
