"""What a component has to fulfil: stubs that do (`bench new`), and checks of a plugin's file (`bench check`).

    check → worker (a process with a time limit, under guard) → variants, nets, samplers, datasets, metrics

A check is a function. The first line of its docstring is what the contract asks; it raises `Broken` with what the
component does instead.
"""
