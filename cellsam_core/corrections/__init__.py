"""Corrections of single cells by a user: tables, places of cells, and their replay on masks."""
