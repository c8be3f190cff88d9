"""Long program texts, for measuring: every construct of a body, in programs that call each other."""

WORLD = """world pad is scratchpad:
    row IN1, IN2, CARRY, OUT of digit
    row A of 0..9
    pointer P, Q on A
    counter K on A
"""

PROGRAM = """
program STEP{number}(p: pointer, v: 0..9) "Step number {number}":
    while not last(P) and (IN1 or IN2):   # go on
        ACT(OUT, WRITE, (IN1 + IN2 + {digit}) mod 10)
        if P > Q:
            ACT(P, SWAP, Q)
        elif P == Q or v == 3:
            {callee}
        for q in IN1, IN2, OUT:
            ACT(q, LEFT)
        ACT(P, RIGHT)
    if CARRY == blank:
        ACT(CARRY, WRITE, v)
    else:
        ACT(p, LEFT)
"""

TASK = """
task steps(items: list of 0..9):
    A = items
    run STEP{number}(P, 3)
    expect len(A) == len(items)
    train items of 1..5
"""


def big_text(lines: int) -> str:
    """A text of about so many lines, without a mistake; each program calls the one before it."""
    count = max(1, (lines - WORLD.count("\n") - TASK.count("\n")) // PROGRAM.count("\n"))
    parts = [WORLD]
    for number in range(count):
        callee = f"STEP{number - 1}(p, v)" if number else "ACT(P, LEFT)"
        parts.append(PROGRAM.format(number=number, digit=number % 10, callee=callee))
    return "".join([*parts, TASK.format(number=count - 1)])
