"""Beyond one machine and one process: thin glue to engines that others keep; a file each."""
