"""One file per page. A page wires controls to Studio calls and draws what the studio answers; nothing else."""
