"""Tests of the workspace that ships with buildsys: its templates, units and scripts."""
