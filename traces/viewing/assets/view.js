// The page: one position in one run, and everything that shows it.

const ROW = 22; // as in the style
const FEW = 400; // runs of so many steps begin with all programs open
const FLAME_LEVELS = 9;
const KEYS = [
  ["→ ←", "one step on, back"],
  ["↑", "to the call that began this program"],
  ["↓", "past what is called here, to the next call beside it"],
  ["space", "play, pause"],
  ["Page ↓ ↑", "20 steps on, back"],
  ["Home End", "beginning, end"],
  ["F N P", "first, next, previous difference"],
  ["C", "close or open the program at this step"],
  ["T", "light or dark"],
];

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const runs = data.runs.map((raw) => new Run(raw, data.primitives));
let run, view, tree;
let position = 0, playing = false;

/** A colour of each program, the same wherever it is named; far apart for programs near each other. */
function colour(callee, light) {
  const hue = (225 + (callee - data.primitives) * 137.5) % 360;
  return light ? `hsl(${hue} 62% 52%)` : `hsl(${hue} 60% 62%)`;
}

function isLight() {
  const scheme = getComputedStyle(document.documentElement).colorScheme;
  return scheme === "light" || (scheme !== "dark" && !matchMedia("(prefers-color-scheme: dark)").matches);
}

/** The list of calls; only the rows in sight exist. Programs that run at the present step are always open. */
class Tree {
  constructor(run) {
    this.run = run;
    this.opened = new Set(run.steps <= FEW ? this.frames() : [0]);
    this.showReturns = $("returns").checked;
    this.way = "";
    this.refresh();
  }

  frames() {
    const frames = [];
    for (let node = 0; node <= this.run.steps; node++) if (this.run.isFrame(node)) frames.push(node);
    return frames;
  }

  openAll(open) {
    this.opened = new Set(open ? this.frames() : [0]);
    this.refresh();
    this.follow();
  }

  /** List the nodes that can be seen. */
  refresh() {
    const { run } = this, nodes = [];
    this.running = new Set(run.way(run.nodeAt(position)));
    for (let node = 0; node <= run.steps; ) {
      if (this.showReturns || !run.isReturn(node)) nodes.push(node);
      node = run.isFrame(node) && !this.isOpen(node) ? run.end[node] + 1 : node + 1;
    }
    this.nodes = nodes;
    $("room").style.height = `${nodes.length * ROW}px`;
  }

  isOpen(node) { return this.opened.has(node) || this.running.has(node); }

  turn(node) {
    const inside = this.running.has(node);
    if (this.isOpen(node)) this.opened.delete(node); else this.opened.add(node);
    if (inside && !this.opened.has(node)) go(Math.max(0, node - 1));
    this.refresh();
    this.draw();
  }

  /** The place of the row of a node; of a hidden return, that of its program. */
  place(node) {
    const sought = !this.showReturns && this.run.isReturn(node) ? this.run.parent[node] : node;
    let low = 0, high = this.nodes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.nodes[middle] < sought) low = middle + 1; else high = middle;
    }
    return low;
  }

  /** Show the present step. */
  follow() {
    const way = this.run.way(this.run.nodeAt(position));
    if (way.some((node) => !this.opened.has(node)) || this.way !== way.join()) {
      const closed = way.filter((node) => !this.opened.has(node)).join();
      if (closed !== this.closed) this.refresh(); else this.running = new Set(way);
      this.closed = closed;
      this.way = way.join();
    }
    const box = $("tree"), top = this.place(this.run.nodeAt(position)) * ROW;
    if (top < box.scrollTop + 2 * ROW || top > box.scrollTop + box.clientHeight - 4 * ROW) {
      box.scrollTop = top - box.clientHeight / 3;
    }
    this.draw();
  }

  draw() {
    const box = $("tree"), first = Math.max(0, Math.floor(box.scrollTop / ROW) - 6);
    const last = Math.min(this.nodes.length, first + Math.ceil(box.clientHeight / ROW) + 12);
    const here = this.nodes[this.place(this.run.nodeAt(position))];
    $("rows").style.transform = `translateY(${first * ROW}px)`;
    $("rows").replaceChildren(...this.nodes.slice(first, last).map((node) => this.row(node, here)));
  }

  row(node, here) {
    const { run } = this, frame = run.isFrame(node), program = run.isProgram(node);
    const kind = run.isReturn(node) ? "return" : program ? "program" : "act";
    const row = html("div", `row ${kind}`), turn = html("span", "turn", frame ? (this.isOpen(node) ? "▾" : "▸") : "");
    const dot = html("span", "dot");
    if (program) dot.style.setProperty("--dot", colour(run.callee(node), isLight()));
    row.style.paddingLeft = `${8 + 16 * Math.min(run.depth[node], 24)}px`;
    row.append(turn, dot, html("span", "text", run.text(node)));
    if (frame && !this.isOpen(node)) row.append(html("span", "count", `${count(run.end[node] - node, "step")} inside`));
    if (run.differs(node)) {
      row.classList.add("differs");
      row.append(html("span", "mark", node - 1 === run.raw.differing[0] ? "first difference" : "≠"));
    }
    if (this.running.has(node)) row.classList.add("way");
    if (node === here) row.classList.add("here");
    row.append(html("span", "number", node > 0 ? grouped(node) : ""));
    row.dataset.node = node;
    row.setAttribute("role", "treeitem");
    row.setAttribute("aria-level", run.depth[node] + 1);
    if (frame) row.setAttribute("aria-expanded", this.isOpen(node));
    row.setAttribute("aria-selected", node === here);
    if (data.docs[run.callee(node)]) row.title = data.docs[run.callee(node)];
    return row;
  }
}

const grouped = (number) => number.toLocaleString("en");
const count = (number, word) => `${grouped(number)} ${word}${number === 1 ? "" : "s"}`;

function choose(number) {
  run = runs[number];
  [...$("takes").children].forEach((button, i) => button.setAttribute("aria-selected", i === number));
  const verdict = $("verdict");
  verdict.textContent = verdict.title = run.raw.verdict;
  verdict.className = run.raw.right ? "good" : "bad";
  $("slider").max = run.steps;
  $("differences").hidden = run.other.size === 0;
  position = Math.min(position, run.steps);
  const { states } = run;
  view = states === null ? null : new VIEWS[states.raw.kind]($("pad"), states);
  if (view === null) $("pad").replaceChildren(html("p", "nothing", "The states of this run are not known; below is what was observed."));
  tree = new Tree(run);
  notes();
  flame();
  document.body.classList.add("still");
  go(position);
}

function notes() {
  const notes = data.notes.map((text) => html("p", "", text));
  if (run.raw.other && run.steps) {
    const { other, differing } = run.raw;
    const text = differing.length
      ? `The ${run.raw.by} parts from the ${other} ${differing.length === 1 ? "once" : `${grouped(differing.length)} times, first`} at step ${grouped(differing[0] + 1)}.`
      : `The ${run.raw.by} decides at every step what the ${other} says.`;
    notes.push(html("p", differing.length ? "bad" : "good", text));
  }
  $("notes").replaceChildren(...notes);
}

/** Go to a position: 0 is before the first step, the last one after the last step. */
function go(to) {
  const before = position;
  position = Math.max(0, Math.min(Math.round(to), run.steps));
  if (run.states) run.states.go(position);
  if (position !== before) document.body.classList.toggle("still", Math.abs(position - before) > 1);
  if (view) view.draw(position);
  tree.follow();
  showWay();
  showDecision();
  showSeen();
  $("slider").value = position;
  $("head").style.left = `${run.steps ? (100 * position) / run.steps : 0}%`;
  const end = position === run.steps;
  $("slider").setAttribute("aria-valuetext", end ? "the end" : `step ${position + 1} of ${run.steps}: ${run.text(position + 1)}`);
  $("where").replaceChildren(...(end ? [html("b", "", "the end"), ` after ${count(run.steps, "step")}`]
    : ["step ", html("b", "", grouped(position + 1)), ` of ${grouped(run.steps)}`]));
  for (const id of ["first", "back"]) $(id).disabled = position === 0;
  for (const id of ["last", "on", "down"]) $(id).disabled = end;
  clearTimeout(go.later);
  go.later = setTimeout(() => history.replaceState(null, "", `#${position}`), 300);
}

function showWay() {
  const node = run.nodeAt(position), way = run.steps ? run.way(node) : [0];
  const shown = way.length > 12 ? [...way.slice(0, 4), -1, ...way.slice(-7)] : way;
  $("way").replaceChildren(...shown.map((at) => {
    const button = html("button", at < 0 ? "cut" : "", at < 0 ? `… ${way.length - 11} more …` : run.text(at));
    button.type = "button";
    if (at < 0) button.disabled = true;
    else button.style.setProperty("--dot", colour(run.callee(at), isLight()));
    button.addEventListener("click", () => go(Math.max(0, at - 1)));
    return html("li", "", button);
  }));
}

function showDecision() {
  if (position === run.steps) {
    const text = run.raw.whole ? "the end" : "the end of this page";
    $("decision").replaceChildren(opinion("", [-2, text], run.raw.verdict || "The first program has returned."));
    return;
  }
  const call = run.call(position + 1), other = run.other.get(position), { by } = run.raw;
  if (other) {
    const first = position === run.raw.differing[0];
    const mark = html("span", "mark", first ? "first difference" : "difference");
    $("decision").replaceChildren(opinion(`${by} calls`, call, null, "wrong", mark), opinion(`${run.raw.other} says`, other, null, "meant"));
    return;
  }
  const said = !run.raw.other ? "" : run.compared(position) ? ` The ${run.raw.other} says the same.`
    : ` The ${run.raw.other} is not asked: this program has left it before.`;
  $("decision").replaceChildren(opinion(`${by} calls`, call, sentence(call) + said));
}

/** What a call does, in words. */
function sentence(call) {
  const doc = call[0] === RETURN ? `${run.text(run.parent[position + 1])} is done` : data.docs[call[0]] || "";
  return doc && !/[.!?…]$/.test(doc) ? `${doc}.` : doc;
}

function opinion(who, call, doc, kind = "", ...more) {
  const about = doc === null ? sentence(call) : doc;
  return html("div", `opinion ${kind}`, html("h2", "", who, ...more), html("div", "call", call[1]), html("p", "", about));
}

function showSeen() {
  const end = position === run.steps;
  $("seen").hidden = end && run.raw.whole;
  if (end) return;
  const seen = run.sight(position), before = position ? run.sight(position - 1) : seen;
  const chips = data.fields.map((field, i) => {
    const value = field.values[seen[i]] ?? `?${seen[i]}`, edge = field.values.length === 2 && field.values[0] === "no";
    const kind = `chip${edge ? ` ${value}` : ""}${seen[i] === before[i] ? "" : " new"}${field.pictured ? " pictured" : ""}`;
    const chip = html("span", kind, html("span", "name", field.name), html("span", value === "blank" ? "value blank" : "value", value));
    if (field.pictured) chip.title = "A core sees the picture in place of this number.";
    return chip;
  });
  const list = html("div", "", ...chips);
  list.id = "chips";
  $("seen").replaceChildren(html("h2", "", `${run.raw.by} observes`), list);
}

/** All frames of the run from left to right, deeper ones below: a picture of the whole to move in. */
function flame() {
  const canvas = $("flame"), { width, height } = canvas.getBoundingClientRect(), scale = devicePixelRatio || 1;
  canvas.width = Math.max(1, width * scale);
  canvas.height = Math.max(1, height * scale);
  const pen = canvas.getContext("2d"), light = isLight();
  pen.scale(scale, scale);
  const levels = Math.min(FLAME_LEVELS, run.deepest + 1), tall = (height - 5) / levels, step = width / Math.max(1, run.steps);
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--faint");
  const edges = new Float64Array(levels).fill(-1); // so far each level is drawn; frames narrower than a pixel share it
  for (let node = 0; node <= run.steps; node++) {
    const depth = run.depth[node];
    if (depth >= levels || !run.isProgram(node)) continue;
    const from = Math.max(0, node - 1) * step, to = Math.max(run.end[node] * step, from + 0.8);
    if (to < edges[depth] + 0.4) continue;
    edges[depth] = to;
    pen.fillStyle = colour(run.callee(node), light);
    pen.globalAlpha = 0.8;
    pen.fillRect(from, depth * tall, Math.max(0.8, to - from - (to - from > 3 ? 0.8 : 0)), tall - (tall > 3 ? 1 : 0));
  }
  pen.globalAlpha = 1;
  pen.fillStyle = light ? "#c4320a" : "#ff8a5c";
  for (const at of run.raw.differing) pen.fillRect(at * step - 1, 0, 2, height);
}

function play(on) {
  playing = on && run.steps > 0;
  $("play").textContent = playing ? "❚❚ pause" : "▶ play";
  if (!playing) return;
  if (position === run.steps) go(0);
  let then = performance.now(), due = 0;
  const tick = (now) => {
    if (!playing) return;
    due += ((now - then) * Number($("speed").value)) / 1000;
    then = now;
    const whole = Math.floor(due);
    due -= whole;
    if (whole) go(position + whole);
    if (position === run.steps) play(false); else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

const moves = {
  first: () => go(0),
  last: () => go(run.steps),
  back: () => go(position - 1),
  on: () => go(position + 1),
  up: () => go(Math.max(0, run.parent[run.nodeAt(position)] - 1)),
  down: () => go(position === run.steps ? position : beside(position + 1)),
  firstdiff: () => go(run.raw.differing[0]),
  nextdiff: () => go(run.raw.differing.find((step) => step > position) ?? position),
  prevdiff: () => go(run.raw.differing.findLast((step) => step < position) ?? position),
};

/** The position of the next call beside a node, or beside the program that it ends. */
function beside(node) {
  const from = run.isReturn(node) && run.parent[node] > 0 ? run.parent[node] : node;
  return run.end[from];
}

function theme() {
  document.documentElement.style.colorScheme = isLight() ? "dark" : "light";
  flame();
  go(position);
}

const keys = {
  ArrowRight: moves.on, ArrowLeft: moves.back, ArrowUp: moves.up, ArrowDown: moves.down,
  Home: moves.first, End: moves.last, PageDown: () => go(position + 20), PageUp: () => go(position - 20),
  " ": () => play(!playing), f: moves.firstdiff, n: moves.nextdiff, p: moves.prevdiff,
  t: theme, "?": () => $("keys").showModal(),
  c: () => {
    const node = run.nodeAt(position);
    tree.turn(run.isFrame(node) ? node : run.parent[node]);
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open || event.target.tagName === "SELECT") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, act = keys[key];
  if (!act || (key === " " && ["BUTTON", "INPUT"].includes(event.target.tagName) && event.target.type !== "range")) return;
  if ("fnp".includes(key) && !run.other.size) return;
  event.preventDefault();
  if (key !== " ") play(false);
  act();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button && event.detail) button.blur(); // a click with the mouse leaves the keys to the page
});
for (const [id, act] of Object.entries(moves)) $(id).addEventListener("click", () => { play(false); act(); });
$("play").addEventListener("click", () => play(!playing));
$("slider").addEventListener("input", () => { play(false); go(Number($("slider").value)); });
$("theme").addEventListener("click", theme);
$("help").addEventListener("click", () => $("keys").showModal());
$("open").addEventListener("click", () => tree.openAll(true));
$("close").addEventListener("click", () => { go(0); tree.openAll(false); });
$("returns").addEventListener("change", () => {
  tree.showReturns = $("returns").checked;
  tree.refresh();
  tree.follow();
});
$("tree").addEventListener("scroll", () => tree.draw());
$("rows").addEventListener("click", (event) => {
  const row = event.target.closest(".row");
  if (!row) return;
  const node = Number(row.dataset.node);
  play(false);
  if (event.target.classList.contains("turn") && run.isFrame(node)) tree.turn(node); else go(Math.max(0, node - 1));
});
const seek = (event) => {
  const { left, width } = $("strip").getBoundingClientRect();
  play(false);
  go(((event.clientX - left) / width) * run.steps);
};
$("strip").addEventListener("pointerdown", (event) => { $("strip").setPointerCapture(event.pointerId); seek(event); });
$("strip").addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
addEventListener("resize", () => { flame(); go(position); });
addEventListener("hashchange", () => go(Number(location.hash.slice(1)) || 0));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { flame(); go(position); });

$("title").textContent = $("title").title = data.title;
for (const speed of [1, 3, 8, 20, 60, 300, 2000]) $("speed").append(new Option(`${speed}/s`, speed, speed === 8, speed === 8));
$("keylist").append(...KEYS.flatMap(([key, what]) => [html("dt", "", key), html("dd", "", what)]));
if (runs.length > 1) {
  $("takes").append(...runs.map((each, number) => {
    const button = html("button", "", each.raw.by);
    button.type = "button";
    button.setAttribute("role", "tab");
    button.addEventListener("click", () => { play(false); choose(number); });
    return button;
  }));
}
position = Number(location.hash.slice(1)) || 0;
choose(0);
