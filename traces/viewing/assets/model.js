"use strict";
// What a page knows of a run: which step lies in which frame, which state it saw. Nothing here draws.

const RETURN = -1;

/** A run. Node 0 is the first call, node i + 1 what step i decided. */
class Run {
  constructor(raw, primitives) {
    this.raw = raw;
    this.steps = raw.step.length;
    this.primitives = primitives;
    const count = this.steps + 1;
    this.parent = new Int32Array(count).fill(-1); // the node that began the frame of this one
    this.end = new Int32Array(count); // the last node below this one
    this.depth = new Int32Array(count);
    this.deepest = 0; // depth of the deepest call of a program
    this.nest();
    this.other = new Map(raw.differing.map((step, i) => [step, raw.calls[raw.instead[i]]]));
    this.states = raw.states === null ? null : new STATES[raw.states.kind](raw.states);
  }

  nest() {
    const open = [0];
    for (let node = 1; node <= this.steps; node++) {
      this.parent[node] = open[open.length - 1];
      this.depth[node] = open.length;
      this.end[node] = node;
      if (this.isReturn(node)) this.end[open.pop()] = node;
      else if (this.isProgram(node) && node < this.steps) open.push(node);
      if (this.isProgram(node)) this.deepest = Math.max(this.deepest, this.depth[node]);
    }
    for (const node of open) this.end[node] = this.steps;
  }

  call(node) { return node === 0 ? this.raw.head : this.raw.calls[this.raw.step[node - 1]]; }
  text(node) { return this.call(node)[1]; }
  callee(node) { return this.call(node)[0]; }
  isReturn(node) { return this.callee(node) === RETURN; }
  isProgram(node) { return this.callee(node) >= this.primitives; }
  isFrame(node) { return this.end[node] > node; }
  sight(step) { return this.raw.seen[this.raw.sight[step]]; }
  differs(node) { return node > 0 && this.other.has(node - 1); }

  /** The node that is current at a position: what is decided there; at the end the last one. */
  nodeAt(position) { return Math.min(position + 1, this.steps); }

  /** The frames around a node, the outermost first. */
  way(node) {
    const way = [];
    for (let at = this.parent[node]; at >= 0; at = this.parent[at]) way.push(at);
    return way.reverse();
  }

  /** Whether the other stepper was asked at a step. */
  compared(step) {
    if (!this.raw.other) return false;
    let low = 0, high = this.raw.alone.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.raw.alone[middle][1] <= step) low = middle + 1; else high = middle;
    }
    return low === this.raw.alone.length || step < this.raw.alone[low][0];
  }
}

/** Flat changes, each beginning with the steps since the one before, as lists by step that can be done and undone. */
class Changes {
  constructor(flat, width) {
    this.width = width;
    this.flat = Int32Array.from(flat);
    this.count = flat.length / width;
    this.before = new Int32Array(this.count);
    this.step = new Int32Array(this.count);
    for (let i = 0, step = 0; i < this.count; i++) this.step[i] = step += flat[i * width];
    this.at = 0; // changes before this one are done
  }

  /** Do or undo changes so that those of the steps before `position` are done. */
  go(position, swap) {
    while (this.at < this.count && this.step[this.at] < position) this.turn(this.at++, swap, true);
    while (this.at > 0 && this.step[this.at - 1] >= position) this.turn(--this.at, swap, false);
  }

  turn(i, swap, forward) {
    const from = i * this.width + 1;
    const value = this.flat[from + this.width - 2];
    const old = swap(this.flat, from, forward ? value : this.before[i]);
    if (forward) this.before[i] = old;
  }

  /** What the steps before `position` changed last: calls `see` for each change of the step just done. */
  last(position, see) {
    for (let i = this.at - 1; i >= 0 && this.step[i] === position - 1; i--) see(this.flat, i * this.width + 1);
  }
}

/** A pad: rows of cells and pointers, at any position of the run. */
class PadStates {
  constructor(raw) {
    this.raw = raw;
    this.moves = new Changes(raw.moves, 3);
    this.writes = new Changes(raw.writes, 4);
    this.at = raw.pointers.map((pointer) => pointer.at);
    this.cells = raw.rows.map((row) => new Map(row.cells.map((value, i) => [row.start + i, value])));
    this.first = Math.min(...this.at);
    this.last = Math.max(...this.at);
    for (const row of raw.rows) if (row.cells.length) this.reach(row.start, row.start + row.cells.length - 1);
    for (let i = 0; i < this.moves.count; i++) this.reach(raw.moves[3 * i + 2], raw.moves[3 * i + 2]);
    for (let i = 0; i < this.writes.count; i++) this.reach(raw.writes[4 * i + 2], raw.writes[4 * i + 2]);
    this.letters = 1;
    for (const row of raw.rows) {
      for (const value of row.values) this.letters = Math.max(this.letters, [...value].length);
      if (!row.values.length) this.letters = Math.max(this.letters, String(this.last).length);
    }
  }

  reach(low, high) {
    if (low < this.first) this.first = low;
    if (high > this.last) this.last = high;
  }

  go(position) {
    this.moves.go(position, (flat, from, value) => {
      const old = this.at[flat[from]];
      this.at[flat[from]] = value;
      return old;
    });
    this.writes.go(position, (flat, from, value) => {
      const row = flat[from], column = flat[from + 1], old = this.value(row, column);
      this.cells[row].set(column, value);
      return old;
    });
  }

  value(row, column) {
    const value = this.cells[row].get(column);
    return value === undefined ? this.raw.rows[row].empty : value;
  }

  /** Whether there is a cell: a list ends, other rows do not. */
  isCell(row, column) {
    const { endless, start, cells } = this.raw.rows[row];
    return endless || (column >= start && column < start + cells.length);
  }

  text(row, column) {
    const { values, empty } = this.raw.rows[row], value = this.value(row, column);
    return value === empty ? "" : values.length ? values[value] : String(value);
  }

  /** What the step before `position` changed: pointers, and cells as "row column". */
  changed(position) {
    const moved = new Set(), wrote = new Set();
    this.moves.last(position, (flat, from) => moved.add(flat[from]));
    this.writes.last(position, (flat, from) => wrote.add(`${flat[from]} ${flat[from + 1]}`));
    return { moved, wrote };
  }
}

/** Any other world: lines of text. */
class TextStates {
  constructor(raw) {
    this.raw = raw;
    this.lines = [...raw.lines];
    this.changes = new Changes(raw.changes, 3);
  }

  go(position) {
    this.changes.go(position, (flat, from, value) => {
      const old = this.lines[flat[from]];
      this.lines[flat[from]] = value;
      return old === undefined ? -1 : old;
    });
  }

  text(line) { const number = this.lines[line]; return number >= 0 ? this.raw.texts[number] : ""; }

  changed(position) {
    const lines = new Set();
    this.changes.last(position, (flat, from) => lines.add(flat[from]));
    return lines;
  }
}

/** A world with pictures: which one lies at each place, and lines of text. */
class PictureStates {
  constructor(raw) {
    this.raw = raw;
    this.lines = new TextStates(raw.text);
    this.shown = [...raw.shown];
    this.turns = new Changes(raw.turns, 3);
  }

  go(position) {
    this.lines.go(position);
    this.turns.go(position, (flat, from, value) => {
      const old = this.shown[flat[from]];
      this.shown[flat[from]] = value;
      return old;
    });
  }

  /** The places whose picture the step before `position` changed. */
  changed(position) {
    const places = new Set();
    this.turns.last(position, (flat, from) => places.add(flat[from]));
    return places;
  }
}

const STATES = { pad: PadStates, text: TextStates, picture: PictureStates };
