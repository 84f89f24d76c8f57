// A table that is sorted by any column, shown a page at a time, and walked through with the keys.

class Table {
  // columns: {title, key: row => value to sort by, show: row => text or node, kind, first: "asc"|"desc", hint}
  constructor(place, columns, options) {
    this.columns = columns;
    this.options = { size: 100, open: null, classOf: () => "", label: "", ...options };
    this.rows = [];
    this.sorted = { column: -1, direction: 1 };
    this.page = 0;
    this.body = el("tbody");
    this.heads = columns.map((column, i) =>
      el("th", { scope: "col", class: column.kind === "number" ? "number" : "", title: column.hint ?? null },
        column.key
          ? el("button", { type: "button", on: { click: () => this.sortBy(i) } }, column.title)
          : el("span", { class: "label" }, column.title)),
    );
    const table = el("table", { "aria-label": this.options.label }, el("thead", {}, el("tr", {}, this.heads)), this.body);
    this.said = el("span", { class: "quiet", role: "status" });
    this.before = el("button", { type: "button", on: { click: () => this.turn(-1) } }, "Previous");
    this.after = el("button", { type: "button", on: { click: () => this.turn(1) } }, "Next");
    this.pager = el("div", { class: "pager" }, this.before, this.after, this.said);
    place.append(el("div", { class: "scroll" }, table), this.pager);
    this.body.addEventListener("keydown", (event) => this.walk(event));
    this.body.addEventListener("click", (event) => {
      if (event.target.closest("a, button, input")) return;
      const row = event.target.closest("tr");
      if (row && this.options.open) this.options.open(this.shown[row.dataset.at], row);
    });
  }

  give(rows) {
    this.rows = rows;
    this.page = 0;
    this.arrange();
  }

  sortBy(column) {
    const first = this.columns[column].first === "desc" ? -1 : 1;
    const same = this.sorted.column === column;
    this.sorted = { column, direction: same ? -this.sorted.direction : first };
    this.page = 0;
    this.arrange();
  }

  arrange() {
    const { column, direction } = this.sorted;
    this.heads.forEach((head, i) => {
      if (!this.columns[i].key) return;
      head.setAttribute("aria-sort", i !== column ? "none" : direction > 0 ? "ascending" : "descending");
    });
    this.order = [...this.rows];
    if (column >= 0) {
      const keyed = this.order.map((row) => [this.columns[column].key(row), row]);
      keyed.sort(([one], [other]) => compareKeys(one, other, direction));
      this.order = keyed.map(([, row]) => row);
    }
    this.draw();
  }

  turn(by) {
    this.page += by;
    this.draw();
  }

  show(row) {
    const at = this.order.indexOf(row);
    if (at < 0) return;
    this.page = Math.floor(at / this.options.size);
    this.draw();
  }

  draw() {
    const { size } = this.options;
    const from = this.page * size;
    this.shown = this.order.slice(from, from + size);
    this.body.replaceChildren(...this.shown.map((row, at) => this.row(row, at)));
    const many = this.order.length;
    this.pager.hidden = many <= size;
    this.before.disabled = from === 0;
    this.after.disabled = from + size >= many;
    this.said.textContent = `${from + 1} to ${Math.min(many, from + size)} of ${whole(many)}`;
    if (!many) {
      const cell = el("td", { colspan: this.columns.length, class: "quiet" }, "Nothing matches the filter.");
      this.body.replaceChildren(el("tr", {}, cell));
    }
  }

  row(row, at) {
    const cells = this.columns.map((column, i) =>
      el("td", { class: [column.kind ?? "", i ? "" : "first"].join(" ").trim() }, column.show(row)));
    const open = this.options.open ? { tabindex: at ? "-1" : "0" } : {};
    return el("tr", { ...open, "data-at": at, class: this.options.classOf(row) }, cells);
  }

  walk(event) {
    const row = event.target.closest("tr");
    if (!row || event.target !== row) return;
    const at = Number(row.dataset.at);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.shown.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.options.open(this.shown[at], row);
    } else if (event.key === "PageDown" || event.key === "PageUp") {
      const button = event.key === "PageDown" ? this.after : this.before;
      if (button.disabled || this.pager.hidden) return;
      event.preventDefault();
      this.turn(event.key === "PageDown" ? 1 : -1);
      this.focus(0);
    } else if (to !== undefined) {
      event.preventDefault();
      this.focus(Math.max(0, Math.min(this.shown.length - 1, to)));
    }
  }

  focus(at) {
    const rows = [...this.body.children];
    rows.forEach((row, i) => row.setAttribute("tabindex", i === at ? "0" : "-1"));
    rows[at]?.focus();
  }
}

// What is not known comes last, whichever way it is sorted.
function compareKeys(one, other, direction) {
  const missing = [one, other].map((key) => key === null || key === undefined || key === "" || Number.isNaN(key));
  if (missing[0] || missing[1]) return missing[0] - missing[1];
  if (typeof one === "number" && typeof other === "number") return direction * (one - other);
  return direction * String(one).localeCompare(String(other), "en", { numeric: true });
}
