"""Writes Power BI projects of publish sets."""
