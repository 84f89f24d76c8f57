// Curves of arms and of single runs, over any axis.

const AXES = {
  step: "steps", examples: "examples", epoch: "epochs", seconds: "seconds of training",
  passes: "forward and backward passes",
};
const TOGETHER = 6, MOST_ARMS = 60, MOST_SINGLES = 200;
const view = { metric: "", axis: "step", centre: "mean", band: "range", logx: false, logy: false, singles: false };
const visible = new Map(); // by workload: which arms are drawn

function visibleArms(place) {
  if (!visible.has(place)) visible.set(place, new Set(data.workloads[place].arms.slice(0, TOGETHER).map((a) => a.name)));
  const arm = data.workloads[place].arms.some((each) => each.name === chosen.arm) ? chosen.arm : "";
  return arm ? new Set([arm]) : visible.get(place);
}

// The part of an arm's or a run's curves that a metric is in: x by the axis, and its values.
function series(parts, metric, axis) {
  for (const part of parts ?? []) {
    if (!(metric in part.y) || !(axis in part.x)) continue;
    const along = part.x[axis];
    const x = Array.isArray(along) ? along : part.x.step.map((step) => step * along);
    return { x, step: part.x.step, y: part.y[metric] };
  }
  return null;
}

function control(title, options, key, nodes) {
  const select = el("select", { on: { change: () => { view[key] = select.value; refresh(nodes()); } } },
    Object.entries(options).map(([value, text]) => el("option", { value }, text)));
  select.value = view[key];
  return el("label", {}, title, select);
}
function tick(title, key, nodes) {
  const box = el("input", { type: "checkbox", on: { change: () => { view[key] = box.checked; refresh(nodes()); } } });
  box.checked = view[key];
  return el("label", {}, box, title);
}

let curvesAt = { place: -1 };
function fillCurves() {
  const place = current();
  const section = $("#curves");
  const workload = data.workloads[place];
  section.hidden = !workload.metrics.length;
  if (section.hidden) return;
  if (curvesAt.place === place) {
    chips(place);
    refresh([curvesAt.node]);
    return;
  }
  if (curvesAt.node) forget(curvesAt.node);
  if (!workload.metrics.includes(view.metric)) view.metric = usualMetric(workload);
  if (!workload.axes.includes(view.axis)) view.axis = "step";
  const axes = Object.fromEntries(workload.axes.map((axis) => [axis, AXES[axis] ?? axis]));
  const nodes = () => [curvesAt.node];
  const body = section.querySelector(".body");
  body.replaceChildren(
    data.workloads.length > 1 ? el("p", { class: "quiet" }, `Of ${workload.name}`) : "",
    el("div", { class: "controls" },
      control("Metric", Object.fromEntries(workload.metrics.map((m) => [m, m])), "metric", nodes),
      control("over", axes, "axis", nodes),
      control("Line", { mean: "mean", median: "median" }, "centre", nodes),
      control("Band", { range: "least to largest run", sd: "± one standard deviation", none: "none" }, "band", nodes),
      tick("log x", "logx", nodes), tick("log y", "logy", nodes), tick("single runs", "singles", nodes)),
  );
  curvesAt = { place, node: plotAt(body, "Curves of the arms", () => drawCurves(place), (point) => openRun(point.data.meta)) };
  curvesAt.chips = el("div", { class: "chips", role: "group", "aria-label": "Arms that are drawn" });
  body.append(curvesAt.chips);
  chips(place);
}
function usualMetric(workload) {
  const name = (workload.metric ?? "").split("/")[1];
  return workload.metrics.includes(`val/${name}`) ? `val/${name}` : workload.metrics[0];
}

function chips(place) {
  const arms = data.workloads[place].arms;
  const shown = visibleArms(place);
  curvesAt.chips.hidden = arms.length < 2;
  curvesAt.chips.replaceChildren(...arms.map((arm) => {
    const button = el("button", {
      type: "button", "aria-pressed": String(shown.has(arm.name)),
      on: {
        click: () => {
          const own = visible.get(place) ?? visibleArms(place);
          if (chosen.arm) choose({ arm: "" });
          if (own.has(arm.name)) own.delete(arm.name);
          else if (own.size < MOST_ARMS) own.add(arm.name);
          chips(place);
          refresh([curvesAt.node]);
        },
      },
    }, swatch(arm.name), arm.name);
    return button;
  }));
}

function drawCurves(place) {
  const workload = data.workloads[place];
  const shown = visibleArms(place);
  const drawnBands = later(`bands-${place}`);
  const traces = [];
  if (view.singles || !workload.arms.length) traces.push(...singleTraces(place, shown));
  workload.arms.forEach((arm, i) => {
    if (!shown.has(arm.name)) return;
    const found = series(drawnBands[i], view.metric, view.axis);
    if (found) traces.push(...armTraces(arm, found));
  });
  return {
    traces,
    layout: {
      xaxis: view.logx ? logarithmic(AXES[view.axis]) : { title: AXES[view.axis] ?? view.axis },
      yaxis: view.logy ? logarithmic(label(view.metric)) : { title: label(view.metric) },
    },
  };
}

function armTraces(arm, { x, step, y }) {
  const line = y[view.centre] ?? y.mean;
  const [low, high] = bandOf(y);
  const text = line.map((value, i) => lines(
    arm.name,
    `${view.metric}: ${number(value)}` + (low && known(low[i]) ? ` (${number(low[i])} to ${number(high[i])})` : ""),
    `${y.low ? `${view.centre} of ${many(y.n[i], "run")}` : "one run"} at step ${whole(step[i])}`,
  ));
  return banded({ name: arm.name, x, y: line, low, high, text });
}
function bandOf(y) {
  if (!y.low || view.band === "none") return [null, null];
  if (view.band === "range") return [y.low, y.high];
  const side = (sign) => y.mean.map((mean_, i) => (known(mean_) && known(y.sd[i]) ? mean_ + sign * y.sd[i] : null));
  return [side(-1), side(1)];
}

function singleTraces(place, shown) {
  const workload = data.workloads[place];
  const every = later(`singles-${place}`);
  const alone = workload.arms.length ? (run) => run.a >= 0 && shown.has(armOf(run).name) : () => true;
  const runs = matching().filter((run) => run.w === place && alone(run)).slice(0, MOST_SINGLES);
  return runs.map((run) => singleTrace(run, every[run.i], 0.45)).filter(Boolean);
}
function singleTrace(run, parts, part) {
  const found = series(parts, view.metric, view.axis);
  if (!found) return null;
  const name = armOf(run)?.name ?? run.id;
  const text = found.y.map((value, i) => lines(
    run.name || run.id, armOf(run)?.name, run.seed === null ? "" : `seed ${run.seed}`,
    `${view.metric}: ${number(value)} at step ${whole(found.step[i])}`));
  const colour = armOf(run) ? colourOf(name) : isDark() ? "#9aa5b1" : "#5c6670";
  return {
    x: found.x, y: found.y, text, meta: run.id, mode: "lines", hoverinfo: "text", connectgaps: true,
    line: { width: part === 1 ? 2 : 1, color: part === 1 ? colour : translucent(colour, part) },
  };
}
