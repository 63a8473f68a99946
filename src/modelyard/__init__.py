"""Modelyard: train many, steer live, ship one."""
