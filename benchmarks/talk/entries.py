"""What the page of the talk says of each row, as data: texts, and the places of their figures on other pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """A figure of a page: in the column of that name, of the row of a table that begins with these cells; without a
    table, what stands between the markers of that name within a sentence.

    Attributes:
        row: with or without bold marks.
    """

    page: str
    column: str
    table: str = ""
    row: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What the page says of a row.

    Attributes:
        ours, control, opponent: texts with ``{}`` for each figure, and the figures.
        seconds: CPU seconds of what it took; likewise. seeds: how many.
        reached: whether the published figure, or what the slide claims where there is none, is reached.
        why: what is short of it, or what the figure does not say.
        command: makes the page. picture: a file beside the page.
    """

    ours: tuple[str, *tuple[Cell, ...]]
    control: tuple[str, *tuple[Cell, ...]]
    opponent: tuple[str, *tuple[Cell, ...]]
    seconds: tuple[str, *tuple[Cell, ...]]
    seeds: str
    reached: bool
    why: str
    command: str
    picture: str = ""

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(
            c
            for part in (self.ours, self.control, self.opponent, self.seconds)
            for c in part[1:]
            if isinstance(c, Cell)
        )

    @property
    def pages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.page for cell in self.cells))


def paper(row: str, column: str) -> Cell:
    return Cell("npi-paper", column, "table", (row,))


def bandit(family: str, column: str) -> Cell:
    return Cell("bandits", column, "regret", (family,))


def harlow(seen: str, objects: str, trial: int) -> Cell:
    return Cell("harlow", f"trial {trial}", "kinds", (seen, objects))


def loss(problems: str, column: str) -> Cell:
    return Cell("optimisers", column, "losses", (problems, "100", problems))


def searched(family: str, searcher: str, column: str = "100") -> Cell:
    return Cell("black-box", column, "samples", (family, searcher, "100"))


def tuned(searcher: str, column: str = "5") -> Cell:
    return Cell("table-transfer", column, "regret", ("RF", "30", searcher))


def bits(core: str, column: str) -> Cell:
    """Of the new voice that a net was trained on from scratch, too."""
    return Cell("speech", column, "bits", (core, "v10-f5"))


def box(row: str, column: str) -> Cell:
    return Cell("mimic", column, "over_imitation", (row,))


def network(column: str, units: str) -> Cell:
    """Of networks of two layers."""
    return Cell("mimic", column, "network", ("2", units))


ENTRIES: Mapping[str, Entry] = {
    "npi": Entry(
        ("addition {} %, sorting {} %, seen cars {} %, unseen cars {} %", paper("Addition, 10 digits", "Multi"),
         paper("Sorting, 5 items", "Multi"), paper("Canonicalise, seen car", "Multi"),
         paper("Canonicalise, unseen car", "Multi")),
        ("a core for each task: {}, {}, {}, {} %", paper("Addition, 10 digits", "Single"),
         paper("Sorting, 5 items", "Single"), paper("Canonicalise, seen car", "Single"),
         paper("Canonicalise, unseen car", "Single")),
        ("none measured beside it; addition alone: [a PyTorch version](addition-640-traces.md)",),
        ("{}", Cell("npi-paper", "training", "times", ("all tasks",))),
        "5", True, "cars are ours, made from numbers, not the paper's CAD models", "npi reproduce npi-paper",
        "npi-paper.png",
    ),
    "max": Entry(
        ("maximum {} %; addition, sorting, seen cars after it {}, {}, {} %", paper("Maximum, 5 items", "+ Max"),
         paper("Addition, 10 digits", "+ Max"), paper("Sorting, 5 items", "+ Max"),
         paper("Canonicalise, seen car", "+ Max")),
        ("beside a core of random weights the rows are right as well: {} seeds",
         Cell("row-controls", "rows right", "cores", ("never trained",))),
        ("none measured beside it",),
        ("{}", Cell("npi-paper", "learning", "times", ("MAX",))),
        "5", True, "that MAX can be learned beside a frozen core says nothing about what the core has learned",
        "npi reproduce npi-paper", "npi-paper.png",
    ),
    "many-programs": Entry(
        ("{} of random programs exact, as rows beside a frozen core that saw none of them",
         Cell("universal-held", "row learned, core frozen", "by-way", ("all",))),
        ("the mean of old rows: {}; the nearest old row: {}", Cell("universal-held", "mean row", "by-way", ("all",)),
         Cell("universal-held", "nearest old row", "by-way", ("all",))),
        ("the core fine-tuned along: {}, and old programs are then wrong",
         Cell("universal-held", "core fine-tuned along", "by-way", ("all",))),
        ("a row alone: {}", Cell("universal-held", "alone")),
        "1 core", True, "of programs of sizes 9 to 12 some rows are not found",
        "python -m benchmarks.universal.main held", "universal-held.png",
    ),
    "bandits": Entry(
        ("mean regret after 100 pulls: independent {}, uniform {}, medium {}", bandit("independent", "learned"),
         bandit("uniform", "learned"), bandit("medium", "learned")),
        ("random: {}, {}, {}", *(Cell("bandit-baselines", family, "regret", ("random",))
                                 for family in ("independent", "uniform", "medium"))),
        ("Gittins {}, {}, {}; the Bayes optimum {}, {}, {}",
         *(bandit(f, column) for column in ("Gittins", "best") for f in ("independent", "uniform", "medium"))),
        ("{} independent, {} medium", bandit("independent", "CPU s"), bandit("medium", "CPU s")),
        "5", True, "for independent arms training sees what arms pay on average, and Gittins indices stay ahead",
        "python -m benchmarks.learners.bandits", "bandit-episodes.png",
    ),
    "two-step": Entry(
        ("reward of a trial {}; interaction of reward and way {}",
         Cell("twosteps", "reward a trial", "agents", ("learned, seed 0",)),
         Cell("twosteps", "interaction", "agents", ("learned, seed 0",))),
        ("without a model {}; interaction {}", Cell("twosteps", "reward a trial", "agents", ("without a model",)),
         Cell("twosteps", "interaction", "agents", ("without a model",))),
        ("with the model, worked out: {}; {}", Cell("twosteps", "reward a trial", "agents", ("with the model",)),
         Cell("twosteps", "interaction", "agents", ("with the model",))),
        ("{}", Cell("twosteps", "CPU s", "agents", ("learned, seed 0",))),
        "3, of which the first is shown", True, "", "python -m benchmarks.learners.two_step", "twosteps.png",
    ),
    "harlow": Entry(
        ("right choices in trials 1, 2, 3, 6, of objects never seen: {}, {}, {}, {} %; of seeds {} pass 95 %",
         *(harlow("pictures", "unseen", trial) for trial in (1, 2, 3, 6)),
         Cell("harlow", "seeds", "kinds", ("pictures", "unseen"))),
        ("the same core without its memory of objects: {}, {} % in trials 2 and 6",
         harlow("codes, no memory", "unseen", 2), harlow("codes, no memory", "unseen", 6)),
        ("win, stay with objects, which is best here: {} % in trial 6", harlow("win, stay with objects", "unseen", 6)),
        ("{}", Cell("harlow", "CPU s", "kinds", ("pictures", "unseen"))),
        "5", True, "the memory of objects is built in, and a random encoder in it does as well; the paper's room is "
        "looked at, ours is a line", "python -m benchmarks.learners.harlow", "harlow.png",
    ),
    "experiments": Entry(
        ("share of the optimum's return: {} % and {} % where masses overlap, {} % and {} % where they are far apart",
         *(Cell("heavier", "share, %", "settings", (name,))
           for name in ("QUICK3", "PATIENT3", "QUICK10", "PATIENT10"))),
        ("return of QUICK5 {}; who only looks {}", Cell("heavier", "learned: return", "settings", ("QUICK5",)),
         Cell("heavier", "0 pokes", "opponents", ("QUICK5",))),
        ("of QUICK5 a transformer that infers in context {}, the optimum {}",
         Cell("heavier", "transformer (pokes)", "opponents", ("QUICK5",)),
         Cell("heavier", "optimum", "opponents", ("QUICK5",))),
        ("{}", Cell("heavier", "seconds")),
        "1", True, "one seed; towers are on [a page of their own](towers.md)", "python -m benchmarks.learners.heavier",
        "heavier.png",
    ),
    "optimiser": Entry(
        ("mean loss after 100 steps: quadratics {}, Rosenbrock {}, digits {}",
         *(loss(problems, "learned") for problems in ("quadratic", "rosenbrock", "digits"))),
        ("Adam with its best rate: {}, {}, {}", *(loss(p, "Adam") for p in ("quadratic", "rosenbrock", "digits"))),
        ("learned ÷ the best of four, each with its best rate: {}, {}, {}",
         *(loss(p, "learned ÷ best") for p in ("quadratic", "rosenbrock", "digits"))),
        ("{}", Cell("optimisers", "training")),
        "3", True, "baselines do not clip; no row that was learned for rectified units did better than an old one",
        "python -m benchmarks.learners.optimisers", "optimisers.png",
    ),
    "neural-bo": Entry(
        ("least value of 100 queries: 3 dimensions {}, 6 dimensions {}", searched("gp3", "learned row"),
         searched("gp6", "learned row")),
        ("random: {}, {}", searched("gp3", "random"), searched("gp6", "random")),
        ("TPE {}, {}; CMA-ES {}, {}", *(searched(family, s) for s in ("TPE", "CMA-ES") for family in ("gp3", "gp6"))),
        ("of a function {}, {}", searched("gp3", "learned row", "CPU s a function"),
         searched("gp6", "learned row", "CPU s a function")),
        "1 core", True, "the core is not trained: by its plain row it is Bayesian optimisation; rows hold experience",
        "python -m benchmarks.learners.black_box",
    ),
    "hyper-parameters": Entry(
        ("error left after 5 of 30 random forests: {}", tuned("row")),
        ("random {}; no row {}", tuned("random"), tuned("no row")),
        ("greedy portfolio {}; Gaussian process with learned covariance {}", tuned("greedy portfolio"),
         tuned("GP, learned covariance")),
        ("{}", Cell("table-transfer", "seconds")),
        "3", False, "ahead of random and best on average everywhere, of the greedy portfolio not over all 219 "
        "configurations together; the learned covariance is ahead in most families; five seeds were asked for",
        "python -m benchmarks.learners.table_transfer --data tables.npz",
    ),
    "few-shot": Entry(
        ("wrong: 20 ways, 1 shot, alphabets mixed {} %, within an alphabet {} %",
         Cell("few-shot", "20 ways, 1 shot", "mixed", ("few-shot, copies",)),
         Cell("few-shot", "mean, copies", "within", ("few-shot",))),
        ("nearest by pixels within an alphabet {} %, by contours {} %", Cell("few-shot", "mean", "within", ("pixels",)),
         Cell("few-shot", "mean", "within", ("contours",))),
        ("prototype network as published {} %, {} %", Cell("few-shot", "20 ways, 1 shot", "mixed", ("plain, copies",)),
         Cell("few-shot", "mean, copies", "within", ("plain",))),
        ("{}", Cell("few-shot", "CPU s, median", "training", ("25 alphabets", "few-shot"))),
        "3", False, "25 alphabets to learn from and minutes of one thread; published prototypes have 4.0 % on other "
        "alphabets and mixed classes. A learned row of an alphabet buys next to nothing",
        "python -m benchmarks.learners.characters.naming BACKGROUND", "strokes.png",
    ),
    "modules": Entry(
        ("crossovers at 80 % right beside a similar word: {} %",
         Cell("connection-information", "80 % right", "matched", ("programmed", "similar"))),
        ("modules with copies of their own: {} %",
         Cell("connection-information", "80 % right", "matched", ("own copies", "similar"))),
        ("beside a dissimilar word {} %",
         Cell("connection-information", "80 % right", "matched", ("programmed", "dissimilar"))),
        ("{}", Cell("connection-information", "seconds")),
        "5", True, "nothing is trained; with the same letters to exchange, similarity adds less",
        "python -m benchmarks.learners.connection_information", "connection-information.png",
    ),
    **{
        core: Entry(
            ("bits a sample of a new voice by a row: 10 s {}, 300 s {}", bits(core, "EMB 10 s"),
             bits(core, "EMB 300 s")),
            ("mean row {}; nearest row {}", bits(core, "mean row"), bits(core, "nearest row")),
            ("the same net from scratch on 20 minutes {}; all weights moved {}", bits(core, "scratch 20 min"),
             bits(core, "ALL 300 s")),
            ("{}", Cell("speech", "CPU s", "cores", (core,))),
            "1", False, "cores were trained for some minutes and do not speak intelligibly; a row from 5 minutes is "
            "not as good as scratch on 20", "python -m benchmarks.learners.speech",
        )
        for core in ("wavenet", "wavernn")
    },
    "imitation": Entry(
        ("reached: 9 landmarks {} %, 10 landmarks {} %; as an inferred row {} %",
         Cell("imitation", "9", "reaching", ("demonstration",)),
         Cell("imitation", "10", "reaching", ("demonstration",)),
         Cell("imitation", "10", "reaching", ("inferred row",))),
        ("mean row in new scenes {} %; random weights {} %",
         Cell("imitation", "success in new scenes", "rows", ("mean row",)),
         Cell("imitation", "success in new scenes", "rows", ("random weights",))),
        ("a plain LSTM of as much time {} %; the end of the demonstration alone {} %",
         Cell("imitation", "10", "reaching", ("recurrent",)), Cell("imitation", "10", "reaching", ("final",))),
        ("{}", Cell("imitation", "CPU s of training", "reaching", ("demonstration",))),
        "1", True, "one seed; the end of a demonstration is all that the task needs; [block "
        "stacking](stacking.md) needs more",
        "python -m benchmarks.learners.imitation",
    ),
    "over-imitation": Entry(
        ("irrelevant steps of unseen demonstrations by IMITATE {}; without one, by SOLVE of the same core {}, which "
         "gets the reward in {}",
         box("IMITATE, unseen demonstrations", "irrelevant steps"), box("SOLVE, unseen boxes", "irrelevant steps"),
         box("SOLVE, unseen boxes", "success")),
        ("random weights {}; the mean row gets the reward in {}",
         box("random weights, demonstration shown", "irrelevant steps"), box("mean row, none shown", "success")),
        ("cloning of the demonstrator's acts {}",
         box("cloning of the demonstrator's acts, unseen", "irrelevant steps")),
        ("see the page",),
        "1", True, "one seed, on a box of our own; SOLVE fails in one box of 24",
        "python -m benchmarks.learners.mimic",
    ),
    "metamimic": Entry(
        ("likeness to unseen demonstrations after training on 500: {}",
         Cell("mimic", "unseen", "diversity", ("500",))),
        ("after training on one: {}; to seen ones {} (of 500)", Cell("mimic", "unseen", "diversity", ("1",)),
         Cell("mimic", "seen", "diversity", ("500",))),
        ("none measured beside it",),
        ("{}", Cell("mimic", "CPU s", "diversity", ("500",))),
        "1", True, "one seed; on a box of our own, by features", "python -m benchmarks.learners.mimic",
    ),
    "network-ablation": Entry(
        ("likeness to unseen demonstrations of networks of 32, 128 and 512 units, normalised: {}, {}, {}",
         *(network("unseen, normalised", units) for units in ("32", "128", "512"))),
        ("not normalised: {}, {}, {}", *(network("unseen, not normalised", units) for units in ("32", "128", "512"))),
        ("none measured beside it",),
        ("{} of the widest", network("CPU s", "512")),
        "1", False, "width and normalisation help narrow networks; after 40 updates the widest one with it is no "
        "better than one of 128 units without", "python -m benchmarks.learners.mimic --only network",
    ),
}  # fmt: skip
"""By the keys of :data:`meta.talk.rows.ROWS`, which have each row's claim and what was published."""
