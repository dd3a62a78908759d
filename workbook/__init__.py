"""workbook: what these notebooks need beside kdlab. It imports nothing until a module is asked for."""
