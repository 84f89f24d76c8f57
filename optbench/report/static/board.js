// What came of it, and the leaderboard.

const metricOf = (workload) => `${workload.metric}${workload.scale === 100 ? " in %" : ""}`;
const better = (workload) => (workload.mode === "max" ? "higher is better" : "lower is better");
const many = (count, what) => `${whole(count)} ${what}${count === 1 ? "" : "s"}`;

function card(workload) {
  const node = el("article", { class: "card" }, el("h3", {}, workload.name));
  const parts = [many(workload.runs, "run")];
  if (workload.metric) parts.unshift(`${metricOf(workload)}, ${better(workload)}`, many(workload.arms.length, "arm"));
  node.append(el("p", { class: "quiet" }, parts.join(" · ")));
  if (workload.refused) node.append(el("p", {}, `Not compared: ${workload.refused}`));
  const [lead, ...others] = workload.sentences ?? [];
  if (lead) node.append(el("p", { class: "lead" }, lead));
  const list = (texts) => el("ul", {}, texts.map((text) => el("li", {}, text)));
  const first = data.workloads.length > 2 ? 0 : 3; // of many workloads the first sentence has to do
  if (others.length && first) node.append(list(others.slice(0, first)));
  if (others.length > first) {
    node.append(el("details", {}, el("summary", {}, `${others.length - first} more`), list(others.slice(first))));
  }
  if (workload.warnings.length) {
    node.append(el("p", { class: "quiet" },
      el("a", { href: "#warnings", on: { click: jump } }, many(workload.warnings.length, "warning"))));
  }
  return node;
}

// Links within the page scroll alone: the address is for what is chosen.
function jump(event) {
  event.preventDefault();
  const to = document.getElementById(event.currentTarget.getAttribute("href").slice(1));
  to.scrollIntoView();
  to.querySelector("h2").setAttribute("tabindex", "-1");
  to.querySelector("h2").focus({ preventScroll: true });
}

// How far the best is ahead, with its interval: a dot and a line, in the scale of the workload.
const WIDE = 132, TALL = 18;
function reach(workload) {
  if (workload.reach === undefined) {
    const ends = workload.arms.flatMap(({ lead }) => (lead ? [Math.abs(lead.difference), Math.abs(lead.high)] : []));
    const sorted = ends.filter(known).sort((one, other) => one - other);
    const most = sorted.at(-1) ?? 1;
    workload.reach = Math.min(most, 4 * (sorted[Math.floor(sorted.length / 2)] ?? most)) * 1.08 || 1;
    const lows = workload.arms.map(({ lead }) => lead?.low ?? 0).filter(known);
    workload.under = Math.max(-workload.reach, Math.min(0, ...lows) * 1.1) || -0.04 * workload.reach;
  }
  return [workload.under, workload.reach];
}
function forest({ workload, arm }) {
  const { lead } = arm;
  if (!lead || !known(lead.difference)) return "";
  const [from, to] = reach(workload);
  const at = (value) => 3 + ((Math.max(from, Math.min(to, value)) - from) / (to - from)) * (WIDE - 6);
  const scale = workload.scale;
  const half = known(lead.low) && known(lead.high) ? (lead.high - lead.low) / 2 : null;
  const said = known(lead.low)
    ? `${score(lead.difference, half, scale)} (95 %: ${score(lead.low, half, scale)} to ${score(lead.high, half, scale)})`
    : score(lead.difference, half, scale);
  const node = svg("svg", { class: "forest", width: WIDE, height: TALL, role: "img", "aria-label": said });
  node.append(svg("title", {}, said));
  const line = (x1, y1, x2, y2, colour, width) =>
    svg("line", { x1, y1, x2, y2, stroke: colour, "stroke-width": width });
  node.append(line(at(0), 1, at(0), TALL - 1, "var(--quiet)", 0.7));
  const colour = lead.outcome === "better" ? "var(--accent)" : "var(--quiet)";
  const low = known(lead.low) ? lead.low : from, high = known(lead.high) ? lead.high : to;
  node.append(line(at(low), TALL / 2, at(high), TALL / 2, colour, 2));
  if (high > to) node.append(svg("path", { d: `M${WIDE - 5} 5l5 4l-5 4`, fill: "none", stroke: colour }));
  node.append(svg("circle", { cx: at(lead.difference), cy: TALL / 2, r: 3.6, fill: colour }));
  return node;
}

function timeText(time) {
  if (!time) return "";
  const reached = time.reached < time.runs ? ` (${time.reached} of ${time.runs})` : "";
  if (!known(time.median)) return el("small", {}, time.reached ? `over half missed${reached}` : "not reached");
  return `${whole(time.median)}${reached}`;
}

const rowOfArm = (workload, arm, rank) => ({ workload, arm, rank });
let board = null;
function leaderboard() {
  const several = data.workloads.length > 1;
  const columns = [
    { title: "Arm", key: (r) => r.arm.name, show: (r) => el("span", {}, swatch(r.arm.name), r.arm.name) },
    several && { title: "Workload", key: (r) => r.workload.name, show: (r) => r.workload.name, kind: "tight" },
    { title: "Rank", key: (r) => r.rank, show: (r) => String(r.rank), kind: "number" },
    { title: "Seeds", key: (r) => r.arm.seeds, show: (r) => String(r.arm.seeds), kind: "number", first: "desc" },
    { title: "Mean", key: (r) => r.arm.mean, show: mean, kind: "number", hint: "over its own runs that finished", first: "desc" },
    { title: "SD", key: (r) => r.arm.sd, show: (r) => score(r.arm.sd, r.arm.sd, r.workload.scale), kind: "number" },
    { title: "Behind by", key: (r) => r.arm.lead?.difference ?? 0, show: behind, kind: "number", hint: "how far the best is ahead of it, the mean of pairs of one seed" },
    { title: "95 % interval of that", show: forest, kind: "tight" },
    { title: "p", key: (r) => r.arm.lead?.adjusted, show: (r) => pvalue(r.arm.lead?.adjusted), kind: "number", hint: "exact sign-flip test, corrected by Holm for all pairs" },
    data.workloads.some((w) => w.arms.some((a) => a.failed.failed)) && { title: "Failed", key: (r) => r.arm.failed.failed, show: failed, kind: "number", first: "desc" },
    data.workloads.some((w) => w.arms.some((a) => a.time)) && { title: "Steps to target", key: (r) => r.arm.time?.median ?? (r.arm.time ? Infinity : null), show: (r) => timeText(r.arm.time), kind: "number", hint: "the median by Kaplan and Meier; a run that missed counts as on its way" },
    data.workloads.some((w) => w.arms.some((a) => a.defaults)) && { title: "At defaults", key: (r) => r.arm.defaults?.place, show: atDefaults, kind: "number", hint: "mean, and place by mean, of the optimizers as they are, without a search; who failed at half of the seeds or more comes last" },
    { title: "Verdict", show: (r) => el("span", { title: r.arm.verdict }, r.arm.verdict), kind: "sentence" },
  ].filter(Boolean);
  const place = $("#leaderboard .body");
  place.append(el("p", { class: "quiet", id: "board-title" }));
  board = new Table(place, columns, {
    size: 20, label: "Leaderboard",
    open: ({ workload, arm }) => {
      const same = chosen.arm === arm.name && chosen.workload === workload.name;
      choose(same ? { arm: "", workload: "" } : { arm: arm.name, workload: workload.name });
    },
    classOf: ({ arm, workload }) =>
      chosen.arm === arm.name && (!chosen.workload || chosen.workload === workload.name) ? "chosen" : "",
  });
}
const mean = (r) => score(r.arm.mean, r.arm.sd, r.workload.scale);
function behind(r) {
  if (r.arm.name === r.workload.best) return el("small", {}, r.workload.baseline ? "baseline" : "best");
  const { lead } = r.arm;
  if (!lead) return "";
  const half = known(lead.low) && known(lead.high) ? (lead.high - lead.low) / 2 : r.arm.sd;
  return score(lead.difference, half, r.workload.scale);
}
function atDefaults(r) {
  const { defaults } = r.arm;
  if (!defaults) return "";
  return el("span", {}, `${score(defaults.mean, defaults.sd, r.workload.scale)} `, el("small", {}, `place ${defaults.place}`));
}
function failed(r) {
  const { failed: count, runs, low, high } = r.arm.failed;
  if (!count) return "";
  const range = known(low) ? `95 %: ${Math.round(100 * low)} to ${Math.round(100 * high)} %` : null;
  return el("span", { class: "worse", title: range }, `${count} of ${runs}`);
}

function fillBoard() {
  const every = asked();
  const rows = [];
  for (const workload of data.workloads) {
    if (chosen.workload && workload.name !== chosen.workload) continue;
    workload.arms.forEach((arm, i) => {
      const text = `${arm.name}\n${workload.name}\n${arm.verdict}`.toLowerCase();
      const fits = every.every((word) => text.includes(word)) || matchingArms().has(arm);
      if (fits) rows.push(rowOfArm(workload, arm, i + 1));
    });
  }
  const shown = data.workloads.filter((w) => w.metric && (!chosen.workload || w.name === chosen.workload));
  const titles = [...new Set(shown.map((w) => `${metricOf(w)}, ${better(w)}`))];
  $("#board-title").textContent = rows.length
    ? `${titles.join("; ")}. Choose an arm to see its runs alone.`
    : "";
  board.give(rows);
}
let ofFilter = null;
function matchingArms() {
  if (ofFilter?.key !== chosen.q) {
    const asked_ = asked();
    const arms = data.runs.filter((run) => run.a >= 0 && asked_.every((word) => words(run).includes(word))).map(armOf);
    ofFilter = { key: chosen.q, arms: new Set(arms) };
  }
  return ofFilter.arms;
}
