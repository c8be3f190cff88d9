"""Program files about a tape, and the command line as tests call it."""

import json

from npi.cli.main import main


def task(name: str, expect: str) -> str:
    """A task that runs the program of its name in capitals."""
    return f"""task {name}(items: list of 0..1):
    A = items
    run {name.upper()}
    expect {expect}
    train items of 1..6
    test items of 3, 12
"""


TAPE = f"""\
world tape is scratchpad:
    row A of 0..1
    pointer P on A at left

program CLEAR "Write 0 into every cell":
    while not last(P):
        STEP
    ACT(P, WRITE, 0)

program STEP "Write 0 and go right":
    ACT(P, WRITE, 0)
    ACT(P, RIGHT)

{task("clear", "sum(A) == 0")}"""

TRIP = f"""\
use "tape.npi"

program HOME "Go to the left end":
    while not first(P):
        ACT(P, LEFT)

program TRIP "Clear, and go to the left end again":
    CLEAR
    HOME

{task("trip", "sum(A) == 0 and at(P) == 0")}"""

SWEEP = f"""\
use "tape.npi"

program SWEEP "Write 0 into every cell but the last":
    while not last(P):
        STEP

{task("sweep", "sum(A) == under(P) and at(P) == len(items) - 1")}"""

ONES = f"""\
use "tape.npi"

program ONES "Write 1, which no program of the tape does":
    ACT(P, WRITE, 1)

{task("ones", "under(P) == 1")}"""

DEEP = """\
world tape is scratchpad:
    row A of 0..1
    pointer P on A at left

program WALK "Go right to the end, by calling itself":
    if not last(P):
        ACT(P, RIGHT)
        WALK

task walk(items: list of 0..1):
    A = items
    run WALK
    expect at(P) == len(items) - 1
    train items of 1..6
    test items of 3
"""


def write_files(found):
    """Program files: the tape, one that uses it, one that uses that, a recursive one, wrong ones."""
    (found / "tape.npi").write_text(TAPE)
    (found / "trip.npi").write_text(TRIP)
    (found / "sweep.npi").write_text(SWEEP)
    (found / "ones.npi").write_text(ONES)
    (found / "deep.npi").write_text(DEEP)
    (found / "wrong.npi").write_text(TAPE.replace("sum(A) == 0", "sum(A) == 1"))
    (found / "typo.npi").write_text(TAPE.replace("        STEP", "        STPE"))
    (found / "endless.npi").write_text(TAPE.replace("    ACT(P, RIGHT)\n", ""))
    (found / "idle.npi").write_text(TAPE.partition("task")[0])
    return found


def training(tape_files):
    return [str(tape_files / "tape.npi"), str(tape_files / "trip.npi"), "--traces", "8"]


def npi(capsys, *words):
    """Exit code, stdout, stderr of a command line."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def document(capsys, *words, code=0):
    """The JSON of a command line, which must be all of stdout."""
    ended, out, err = npi(capsys, *words, "--json")
    assert ended == code, err
    return json.loads(out)


def contents(place):
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
