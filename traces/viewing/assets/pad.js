// The pad as a drawing. Cells are drawn anew at each step, pointers stay and glide.

const SVG = "http://www.w3.org/2000/svg";
const CELL = 38, WIDE = 46, LANE = 18, ROW_GAP = 12, SIDE = 18;

function svg(name, attributes, ...inside) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

function html(name, className, ...inside) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...inside);
  return element;
}

class PadView {
  constructor(place, states) {
    this.place = place;
    this.states = states;
    this.from = states.first; // the first column that is drawn
    this.legend = html("div", "legend", html("span", "", html("i"), "what is observed"),
      html("span", "", html("i", "changed"), "changed by the step before"));
    this.columns = html("span");
    this.legend.append(this.columns);
    this.drawing = svg("svg", { role: "img", "aria-label": "The pad" });
    this.cells = svg("g", {});
    this.names = svg("g", {});
    this.drawing.append(this.names, this.cells);
    this.measure();
    this.pointers = states.raw.pointers.map((pointer, i) => this.pointer(pointer, i));
    this.drawing.append(...this.pointers.map((pointer) => pointer.group));
    place.replaceChildren(this.drawing, this.legend);
  }

  /** Rows and lanes from top to bottom: pointers with the name of their row need no name. */
  measure() {
    const { rows, pointers } = this.states.raw;
    let y = 2;
    this.rowY = [];
    this.laneY = [];
    rows.forEach((row, r) => {
      this.rowY.push(y);
      y += CELL + 2;
      pointers.forEach((pointer, p) => {
        if (pointer.row !== r) return;
        this.laneY[p] = y;
        y += LANE;
      });
      y += ROW_GAP;
    });
    this.height = y - ROW_GAP + 2;
    this.label = 14 + 7.6 * Math.max(...rows.map((row) => [...row.name].length));
    this.tight = Math.max(CELL - 8, 10.4 * this.states.letters + 12);
  }

  pointer(pointer, p) {
    const own = pointer.name === this.states.raw.rows[pointer.row].name;
    const lift = this.laneY[p] - this.rowY[pointer.row] - CELL - 2;
    const stem = svg("line", { x1: 0, x2: 0, y1: -lift, y2: 3 });
    const name = svg("text", { x: 9, y: 12 }, own ? "" : pointer.name);
    const mark = svg("path", { d: "M0,2 L6,12 L-6,12 z" });
    const group = svg("g", { class: "pointer", "data-name": pointer.name }, stem, mark, name);
    return { group, stem, name, mark, own };
  }

  draw(position) {
    const { states } = this, { rows, pointers } = states.raw, { moved, wrote } = states.changed(position);
    const width = Math.max(200, this.place.clientWidth - 30);
    const line = width - this.label - 2 * SIDE, columns = states.last - states.first + 1;
    this.pitch = Math.max(this.tight, Math.min(Math.max(WIDE, this.tight), line / columns));
    const room = Math.max(3, Math.floor(line / this.pitch));
    const last = this.window(room, moved);
    const x = (column) => this.label + SIDE + (column - this.from + 0.5) * this.pitch;
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${this.height}`);
    this.drawing.setAttribute("height", this.height);
    const seen = new Set(pointers.flatMap((p, i) => (p.sees ? [`${p.row} ${states.at[i]}`] : [])));
    const cells = [], names = [];
    rows.forEach((row, r) => {
      const y = this.rowY[r];
      names.push(svg("text", { class: "label", x: this.label - 4, y: y + CELL / 2 + 4.5 }, row.name));
      for (let column = this.from; column <= last; column++) {
        if (!states.isCell(r, column)) continue;
        const key = `${r} ${column}`;
        const kind = `cell${row.endless ? "" : " list"}${seen.has(key) ? " seen" : ""}${wrote.has(key) ? " changed" : ""}`;
        const box = svg("rect", { x: x(column) - this.pitch / 2 + 1.5, y, width: this.pitch - 3, height: CELL, rx: 5 });
        const text = svg("text", { x: x(column), y: y + CELL / 2 + 6 }, states.text(r, column));
        cells.push(svg("g", { class: kind, "data-at": key }, box, text));
      }
      if (this.from > states.first) names.push(svg("text", { class: "cut", x: this.label, y: y + CELL / 2 + 4 }, "…"));
      const after = x(last) + this.pitch / 2 + 3;
      if (last < states.last) names.push(svg("text", { class: "cut", x: after, y: y + CELL / 2 + 4 }, "…"));
    });
    this.cells.replaceChildren(...cells);
    this.names.replaceChildren(...names);
    pointers.forEach((pointer, p) => this.place1(pointer, p, moved.has(p), x, last));
    const cut = this.from > states.first || last < states.last;
    this.columns.textContent = cut ? `columns ${this.from} to ${last} of ${states.first} to ${states.last}` : "";
  }

  /** Put one pointer under its cell; one outside the window stands at its edge and says how far it is away. */
  place1(pointer, p, moved, x, last) {
    const { group, stem, name, mark, own } = this.pointers[p];
    const column = this.states.at[p], away = column < this.from ? this.from - column : column > last ? column - last : 0;
    const shown = Math.min(Math.max(column, this.from), last);
    group.setAttribute("class", `pointer${pointer.sees ? " sees" : ""}${moved ? " moved" : ""}`);
    group.style.transform = `translate(${x(shown)}px, ${this.laneY[p]}px)`;
    stem.setAttribute("visibility", away ? "hidden" : "visible");
    mark.setAttribute("d", !away ? "M0,2 L6,12 L-6,12 z" : column < this.from ? "M-7,7 L3,1 L3,13 z" : "M7,7 L-3,1 L-3,13 z");
    const text = (own && !away ? "" : pointer.name) + (away ? ` ${away} further` : "");
    const flip = (away && column > last) || (shown === last && text.length > 4);
    name.setAttribute("text-anchor", flip ? "end" : "start");
    name.setAttribute("x", flip ? -9 : 9);
    if (name.textContent !== text) name.textContent = text;
  }

  /** Choose the columns; the window moves only where what is observed or moves would leave it. Returns the last one. */
  window(room, moved) {
    const { first, last, at } = this.states;
    if (last - first < room) { this.from = first; return last; }
    const columns = (chosen) => at.filter((_, p) => chosen(p)), sees = (p) => this.states.raw.pointers[p].sees;
    const choices = [columns((p) => sees(p) || moved.has(p)), columns(sees), columns((p) => moved.has(p)), [at[0]]];
    const interest = choices.find((all) => all.length && Math.max(...all) - Math.min(...all) < room);
    const low = Math.min(...interest), high = Math.max(...interest);
    const margin = Math.min(2, (room - 1 - (high - low)) >> 1);
    if (low - margin < this.from || high + margin > this.from + room - 1) this.from = ((low + high) >> 1) - (room >> 1);
    this.from = Math.max(first, Math.min(this.from, last - room + 1));
    return this.from + room - 1;
  }
}

class TextView {
  constructor(place, states) {
    this.states = states;
    this.lines = html("pre");
    place.replaceChildren(this.lines);
  }

  draw(position) {
    const changed = this.states.changed(position);
    this.lines.replaceChildren(...this.states.lines.flatMap((_, line) => {
      const text = this.states.text(line);
      return [changed.has(line) ? html("b", "", text) : text, "\n"];
    }));
  }
}

class PictureView {
  constructor(place, states) {
    this.states = states;
    this.figures = states.raw.captions.map((caption) => {
      const image = html("img");
      image.alt = caption;
      return { image, figure: html("figure", "", image, html("figcaption", "", caption)) };
    });
    const lines = html("div");
    this.lines = new TextView(lines, states.lines);
    place.replaceChildren(html("div", "pictures", ...this.figures.map(({ figure }) => figure)), lines);
  }

  draw(position) {
    const changed = this.states.changed(position);
    this.figures.forEach(({ image, figure }, place) => {
      const address = data.pictures[this.states.raw.pictures[this.states.shown[place]]];
      if (image.src !== address) image.src = address;
      figure.className = changed.has(place) ? "changed" : "";
    });
    this.lines.draw(position);
  }
}

const VIEWS = { pad: PadView, text: TextView, picture: PictureView };
