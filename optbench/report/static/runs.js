// The table of runs, and one run's details.

let table = null;
const stateBadge = (run) => el("span", { class: `badge ${run.state.replace(/[^a-z_]/g, "")}` }, run.state.replace("_", " "));
function when(text) {
  return text.slice(0, 16).replace("T", " ");
}
function scoreOf(run) {
  const workload = data.workloads[run.w];
  return known(run.score) ? score(run.score, armOf(run)?.sd, workload.scale ?? 1) : "";
}

function runsTable() {
  const has = (test) => data.runs.some(test);
  const columns = [
    { title: "Run", key: (r) => r.id, show: (r) => (r.name ? el("span", {}, r.id, " ", el("small", {}, r.name)) : r.id) },
    data.workloads.length > 1 && { title: "Workload", key: (r) => data.workloads[r.w].name, show: (r) => data.workloads[r.w].name, kind: "tight" },
    { title: "Arm", key: (r) => armOf(r)?.name, show: (r) => (armOf(r) ? el("span", {}, swatch(armOf(r).name), armOf(r).name) : el("small", { title: r.problem || null }, r.defaults ? "at its defaults" : r.trial ? "trial" : r.problem ? "not counted" : "left out")) },
    { title: "Seed", key: (r) => r.seed, show: (r) => (r.seed === null ? "" : String(r.seed) + (r.fold ? ` fold ${r.fold}` : "")), kind: "number" },
    { title: "State", key: (r) => r.state, show: stateBadge, kind: "tight" },
    { title: scoreTitle(), key: (r) => r.score, show: scoreOf, kind: "number", first: "desc" },
    has((r) => known(r.lr)) && { title: "lr", key: (r) => r.lr, show: (r) => number(r.lr), kind: "number" },
    { title: "Steps", key: (r) => r.step, show: (r) => whole(r.step), kind: "number" },
    has((r) => known(r.seconds)) && { title: "Seconds", key: (r) => r.seconds, show: (r) => number(r.seconds, 3), kind: "number", hint: "of training" },
    { title: "Started (UTC)", key: (r) => r.started, show: (r) => when(r.started), kind: "tight", first: "desc" },
    has((r) => r.notes || r.tags.length || r.message) && { title: "Notes", key: (r) => noted(r), show: noted, kind: "text" },
  ].filter(Boolean);
  const place = $("#runs .body");
  table = new Table(place, columns, {
    size: 50, label: "Runs", open: (run) => choose({ run: run.id }),
    classOf: (run) => (run.id === chosen.run ? "chosen" : ""),
  });
}
function scoreTitle() {
  const metrics = new Set(data.workloads.filter((w) => w.metric).map(metricOf));
  return metrics.size === 1 ? [...metrics][0] : "Score";
}
function noted(run) {
  const text = [...run.tags.map((tag) => `#${tag}`), run.notes, run.message].filter(Boolean).join(" ");
  return text.length > 140 ? `${text.slice(0, 140)} ...` : text;
}

// A run's settings: the usual ones, and where it departs from them.
function settingsOf(run) {
  const { usual, own } = later("configs");
  const settings = { ...usual, ...own[data.runs.indexOf(run)] };
  for (const [key, value] of Object.entries(settings)) if (value === null) delete settings[key];
  return settings;
}
function differing(run, other) {
  const mine = settingsOf(run), theirs = settingsOf(other);
  const keys = [...new Set([...Object.keys(mine), ...Object.keys(theirs)])];
  const order = (key) => (key.startsWith("@") ? 0 : 1);
  return keys.filter((key) => mine[key] !== theirs[key])
    .sort((one, two) => order(one) - order(two) || one.localeCompare(two))
    .map((key) => [key, mine[key], theirs[key]]);
}

function openRun(id) {
  if (runById.has(id)) choose({ run: id });
}
let openedFrom = null, openPlot = null, openedRun = "";
function fillDetails() {
  const node = $("#details");
  const run = runById.get(chosen.run);
  if (chosen.run === openedRun) return;
  openedRun = chosen.run;
  if (openPlot) forget(openPlot);
  openPlot = null;
  if (!chosen.run) {
    node.hidden = true;
    node.replaceChildren();
    openedFrom?.focus?.();
    openedFrom = null;
    return;
  }
  openedFrom ??= document.activeElement;
  const close = el("button", { type: "button", "aria-label": "Close", on: { click: () => choose({ run: "" }) } }, "Close");
  if (!run) {
    node.replaceChildren(el("div", { class: "head" }, el("h2", {}, "No such run"), close), el("p", {}, `This page has no run ${chosen.run}.`));
    node.hidden = false;
    node.focus({ preventScroll: true });
    return;
  }
  const workload = data.workloads[run.w];
  const heading = el("div", {}, el("h2", {}, run.name || run.id), el("p", { class: "quiet" }, `${workload.name} · ${run.id}`));
  node.replaceChildren(
    el("div", { class: "head" }, heading, close),
    el("p", {}, stateBadge(run), run.message ? ` ${run.message}` : ""),
    run.problem ? el("p", {}, `Not compared: ${run.problem}`) : "",
    facts(run, workload),
  );
  node.hidden = false;
  node.scrollTop = 0;
  if (workload.metrics.length) {
    openPlot = plotAt(node, `${view.metric} of this run`, () => {
      const trace = singleTrace(run, later(`singles-${run.w}`)[run.i], 1);
      const metric = label(view.metric);
      return trace && { traces: [{ ...trace, meta: null }], layout: { xaxis: { title: AXES[view.axis] }, yaxis: { title: metric } } };
    });
  }
  if (run.command) node.append(el("h3", {}, "Command"), copied(run.command));
  if (run.begun && run.begun !== run.command) node.append(el("h3", {}, "Begun by"), copied(run.begun));
  node.append(...neighbours(run), allSettings(run));
  node.focus({ preventScroll: true });
}

function facts(run, workload) {
  const rows = [
    ["Arm", armOf(run) ? el("span", {}, swatch(armOf(run).name), armOf(run).name) : ""],
    [workload.metric ? metricOf(workload) : "Score", scoreOf(run)],
    ["Seed", run.seed === null ? "" : String(run.seed)],
    ["Learning rate", number(run.lr)],
    ["Steps", whole(run.step)],
    ["Target reached", known(run.reached) ? `at step ${whole(run.reached)}` : ""],
    ["Training", known(run.seconds) ? `${number(run.seconds, 3)} s` : ""],
    ["Started", run.started.replace("T", " ").replace("+00:00", " UTC")],
    ["Tags", run.tags.join(", ")],
    ["Notes", run.notes],
    ["Folder", el("a", { href: `file://${run.path.split("/").map(encodeURIComponent).join("/")}` }, run.path)],
  ];
  return el("dl", {}, rows.filter(([, value]) => value !== "").flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
function copied(text) {
  const button = el("button", { type: "button", class: "copy" }, "Copy");
  const code = el("code", {}, text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
    }
  });
  return el("div", {}, button, el("pre", {}, code));
}
function keyTable(rows, heads) {
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, el("span", { class: "label" }, head))))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell, i) => el("td", { class: i ? "mono" : "mono first" }, cell ?? "")))))));
}
const keyName = (key) => (key.startsWith("@") ? key.slice(1) : key);

function neighbours(run) {
  const at = table.order.indexOf(run);
  const workload = data.workloads[run.w];
  const best = data.runs.find((each) => each.w === run.w && each.a === 0);
  const beside = [
    ["the run above in the table", table.order[at - 1]],
    ["the run below in the table", at < 0 ? undefined : table.order[at + 1]],
    [`the best arm, ${workload.best ?? ""}`, best],
  ].filter(([, other]) => other && other !== run);
  if (!beside.length) return [];
  const place = el("div");
  const select = el("select", { on: { change: fill } }, beside.map(([title, other], i) => el("option", { value: i }, `${title} (${other.id})`)));
  function fill() {
    const other = beside[Number(select.value)][1];
    const rows = differing(run, other);
    place.replaceChildren(rows.length
      ? keyTable(rows.map(([key, mine, theirs]) => [keyName(key), mine, theirs]), ["setting", "this run", "that run"])
      : el("p", { class: "quiet" }, "They differ in nothing."));
  }
  fill();
  return [el("h3", {}, "Differs from"), el("div", { class: "controls" }, select), place];
}
function allSettings(run) {
  const node = el("details", {}, el("summary", {}, "All settings"));
  node.addEventListener("toggle", () => {
    if (node.children.length > 1) return;
    node.append(keyTable(Object.entries(settingsOf(run)).map(([key, value]) => [keyName(key), value]), ["setting", "value"]));
  });
  return el("div", {}, el("h3", {}, "Config"), node);
}

let lastFilter = null;
function fillRuns() {
  const key = [chosen.q, chosen.workload, chosen.arm, chosen.state].join("\u0000");
  const rows = matching();
  $("#matching").textContent = rows.length === data.runs.length ? many(rows.length, "run") : `${whole(rows.length)} of ${many(data.runs.length, "run")}`;
  if (key !== lastFilter) table.give(rows);
  else table.draw();
  lastFilter = key;
}
