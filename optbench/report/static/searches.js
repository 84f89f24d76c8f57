// What searches say: learning rates, trials, workloads together, schedules; and diagnostics.

const DOTS = 1500, MOST_PROFILES = 8;
const legend = (names) =>
  el("div", { class: "chips" }, names.map((name) => el("span", { class: "quiet" }, swatch(name), name)));

// A section with a plot of the current workload, or of nothing, which is not shown.
function section(id, has, say, make, click = null) {
  const node = document.getElementById(id);
  const workload = data.workloads[current()];
  node.hidden = !has(workload);
  const body = node.querySelector(".body");
  const old = body.querySelector(".plot");
  if (old) forget(old);
  body.replaceChildren();
  if (node.hidden) return;
  body.append(...say(workload).filter(Boolean));
  const title = node.querySelector("h2").textContent;
  body.querySelector(".controls")?.remove();
  const plot = plotAt(body, title, () => make(workload), click);
  const marks = body.querySelector(".chips");
  if (marks) plot.after(marks);
}

function fillSearches() {
  section("arrivals", (w) => w.arrivals, sayArrivals, drawArrivals);
  section("lr", (w) => w.lr?.length, sayRates, drawRates);
  section("trials", (w) => w.trials?.length || w.trials_left?.length, sayTrials, drawTrials);
  section("heat", (w) => w.heat, sayHeat, drawHeat);
  section("diagnostics", (w) => dots(w).length > 1, sayDots, drawDots, (point) => openRun(point.customdata));
}

function sayArrivals(workload) {
  const { target, sentences } = workload.arrivals;
  const drawn_ = arrived(workload).map(({ name }) => name);
  return [
    el("p", { class: "quiet" }, `Which part of an arm's runs has reached ${target}, by Kaplan and Meier; the 95 % bands are drawn of up to three arms.`),
    el("ul", { class: "list quiet" }, sentences.slice(0, 3).map((text) => el("li", {}, text))),
    legend(drawn_),
  ];
}
function arrived(workload) {
  const shown = visibleArms(data.workloads.indexOf(workload));
  return workload.arrivals.arms.filter(({ name }) => shown.has(name));
}
function drawArrivals(workload) {
  const few = arrived(workload).length <= 3; // bands of more hide each other
  const traces = arrived(workload).flatMap(({ name, x, share, low, high }) => {
    const text = share.map((part, i) => lines(name, `${number(100 * part, 3)} % after ${whole(x[i])} steps`,
      `95 %: ${number(100 * low[i], 3)} to ${number(100 * high[i], 3)} %`));
    return banded({ name, x, y: share, low: few && low, high: few && high, text }).map((trace) => ({ ...trace, mode: "lines", line: { ...trace.line, shape: "hv" } }));
  });
  return { traces, layout: { xaxis: { title: "steps" }, yaxis: { title: "part that has arrived", range: [-0.03, 1.03] } } };
}

function sayRates(workload) {
  const points = workload.scale === 100 ? "one point" : "1 %";
  const texts = workload.lr.map(({ kind, low, high, best }) =>
    low === high
      ? `${kind}: best at ${number(best)}, no other within ${points}`
      : `${kind}: within ${points} of its best from ${number(low)} to ${number(high)}, a factor of ${number(high / low, 2)}`);
  return [
    el("ul", { class: "list quiet" }, texts.map((text) => el("li", {}, text))),
    legend(workload.lr.map(({ kind }) => kind)),
  ];
}
function drawRates(workload) {
  const scale = workload.scale;
  const traces = workload.lr.flatMap(({ kind, points, metric, low, high }) => {
    const column = (at) => points.map((point) => point[at]);
    const scaled = (at) => column(at).map((value) => (known(value) ? value * scale : null));
    const text = points.map(([lr, mean_, least, most, runs, missed]) => lines(
      kind, `lr ${number(lr)}: ${metric} ${known(mean_) ? number(mean_ * scale) : "none"}`,
      runs > 1 ? `${number(least * scale)} to ${number(most * scale)}, ${many(runs, "run")}` : many(runs, "run"),
      missed ? `${missed} failed` : ""));
    const own = banded({ name: kind, x: column(0), y: scaled(1), low: scaled(2), high: scaled(3), text });
    const broad = points.filter(([lr]) => lr >= low && lr <= high);
    const line = {
      x: broad.map(([lr]) => lr), y: broad.map((point) => point[1] * scale), mode: "lines", hoverinfo: "skip",
      line: { width: 7, color: translucent(colourOf(kind), 0.3) },
    };
    return broad.length > 1 ? [line, ...own] : own;
  });
  return { traces, layout: { xaxis: logarithmic("learning rate"), yaxis: { title: label(workload.lr[0].metric + (scale === 100 ? " in %" : "")) } } };
}

function sayTrials(workload) {
  const { trials, trials_left: left } = workload;
  const texts = ["The best score that so many trials are expected to find."];
  if (trials.some(({ low }) => low)) texts.push("Bands of studies: where four of five searches end; trials that failed or were given up count as the worst.");
  if (trials.some(({ low }) => !low)) texts.push("Of a benchmark the first trial is the defaults.");
  return [
    trials.length ? el("p", { class: "quiet" }, texts.join(" ")) : null,
    left.length ? el("ul", { class: "list quiet" }, left.map((text) => el("li", {}, `Left out: ${text}`))) : null,
    trials.length ? legend(trials.map(({ name }) => name)) : null,
  ];
}
function drawTrials(workload) {
  if (!workload.trials.length) return null;
  const traces = workload.trials.flatMap(({ name, n, expected, low, high, metric }) => {
    const text = n.map((count, i) => lines(
      name, `best of ${count}: ${metric} ${number(expected[i])}`, low && `four of five: ${number(low[i])} to ${number(high[i])}`));
    return banded({ name, x: n, y: expected, low, high, text });
  });
  return { traces, layout: { xaxis: { title: "trials", rangemode: "tozero" }, yaxis: { title: label(workload.trials[0].metric) } } };
}

// Several workloads put together: who beats which part of the others, and performance profiles.
function fillProfiles() {
  const node = $("#profiles");
  const found = data.across;
  node.hidden = !found;
  if (!found) return;
  const body = node.querySelector(".body");
  const arms = found.arms.slice(0, MOST_PROFILES);
  const most = found.arms.length > arms.length ? ` The first ${arms.length} of ${found.arms.length} arms.` : "";
  const percent = (value) => `${number(100 * value, 3)} %`;
  const profiled = found.taus !== null;
  const heads = ["Arm", "Beats of the others", "95 % band of seeds", "IQM", ...(profiled ? ["Profile's score"] : [])];
  body.append(
    el("p", { class: "quiet" }, `Which part of the others an arm beats at the same seed, a mean over ${many(found.workloads.length, "workload")}; ${found.sentences.join("; ")}. IQM: the interquartile mean of all runs, from 0, the worst arm's mean on a workload, to 1, the best's.${most}`),
    el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, heads.map((head, i) => el("th", { scope: "col", class: i ? "number" : "" }, el("span", { class: "label" }, head))))),
      el("tbody", {}, arms.map(({ name, beaten, iqm, score: own }) => el("tr", {},
        el("td", { class: "first" }, swatch(name), name), el("td", { class: "number" }, percent(beaten[0])),
        el("td", { class: "number" }, `${percent(beaten[1])} to ${percent(beaten[2])}`),
        el("td", { class: "number" }, known(iqm) ? iqm.toFixed(2) : ""),
        profiled ? el("td", { class: "number" }, known(own) ? own.toFixed(3) : "") : null))))));
  if (!profiled) return;
  body.append(el("p", { class: "quiet" }, "Profiles: on what part of the workloads it reaches the target within so many times the steps of the fastest."));
  plotAt(body, "Performance profiles", () => ({
    traces: arms.map(({ name, curve }) => ({
      x: found.taus, y: curve, mode: "lines", hoverinfo: "text", line: { color: colourOf(name), dash: dashOf(name), width: 2, shape: "hv" },
      text: curve.map((share, i) => lines(name, `${percent(share)} within ${number(found.taus[i], 3)} times the fastest`)),
    })),
    layout: { xaxis: { title: "times the fastest" }, yaxis: { title: "part of the workloads", range: [-0.03, 1.03] } },
  }));
}

function sayHeat(workload) {
  return [el("p", { class: "quiet" }, `${metricOf(workload)}: of each pair the best mean, whatever else differs.`)];
}
function drawHeat(workload) {
  const { optimizers, schedules, cells } = workload.heat;
  const z = cells.map((row) => row.map((cell) => (cell ? cell[0] * workload.scale : null)));
  const short = cells.map((row) => row.map((cell) => (cell ? number(cell[0] * workload.scale, 4) : "")));
  const text = cells.map((row, i) => row.map((cell, j) => lines(
    `${optimizers[j]}, ${schedules[i]}`, cell ? `${number(cell[0] * workload.scale, 5)}: ${cell[1]}` : "no run finished")));
  const trace = {
    type: "heatmap", x: optimizers.map(label), y: schedules.map(label), z, hovertext: text, hoverinfo: "text", text: short,
    texttemplate: "%{text}", colorscale: "Cividis", reversescale: workload.mode === "min", xgap: 3, ygap: 3,
    colorbar: { thickness: 12, outlinewidth: 0 },
  };
  return { traces: [trace], layout: { xaxis: { type: "category", showgrid: false }, yaxis: { type: "category", showgrid: false, autorange: "reversed" } } };
}

const dots = (workload) => matching().filter((run) =>
  data.workloads[run.w] === workload && known(run.lr) && known(run.ratio) && run.ratio > 0);
function sayDots(workload) {
  const count = dots(workload).length;
  const part = count > DOTS ? ` ${whole(DOTS)} of ${whole(count)} runs.` : "";
  return [el("p", { class: "quiet" },
    `Each run's median ratio of update to parameter over its learning rate, coloured by its last ${workload.metric ?? "score"}; crosses failed, open circles have no such score.${part}`)];
}
function drawDots(workload) {
  const every = dots(workload);
  const step = Math.max(1, every.length / DOTS);
  const runs = every.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
  const scale = workload.scale ?? 1;
  const trace = (own, marker) => ({
    x: own.map((run) => run.lr), y: own.map((run) => run.ratio), mode: "markers", hoverinfo: "text", customdata: own.map((run) => run.id),
    text: own.map((run) => lines(armOf(run)?.name ?? run.name, run.seed === null ? "" : `seed ${run.seed}`,
      `lr ${number(run.lr)}, update ratio ${number(run.ratio, 3)}`, known(run.score) ? `${workload.metric} ${number(run.score * scale)}` : run.state)),
    marker: { size: 8, line: { width: 0.5, color: isDark() ? "#14171a" : "#ffffff" }, ...marker },
  });
  const isLost = (run) => run.state === "diverged" || run.state === "failed";
  const lost = runs.filter(isLost);
  const fine = runs.filter((run) => known(run.score) && !isLost(run));
  const unscored = runs.filter((run) => !known(run.score) && !isLost(run));
  const colour = {
    color: fine.map((run) => run.score * scale), colorscale: "Viridis", reversescale: workload.mode === "min",
    colorbar: { thickness: 12, outlinewidth: 0 },
  };
  return {
    traces: [trace(unscored, { symbol: "circle-open", color: isDark() ? "#9aa5b1" : "#5c6670" }), trace(lost, { symbol: "x", opacity: 0.7, color: isDark() ? "#f08a6c" : "#b3391b" }), trace(fine, colour)],
    layout: { xaxis: logarithmic("learning rate"), yaxis: logarithmic("median update ratio") },
  };
}
