// Plots by plotly, whose code is run when the first plot is looked at.

let plotly = null;
function library() {
  plotly ??= new Promise((resolve) => {
    const code = document.getElementById("plotly");
    const script = document.createElement("script");
    script.textContent = code.textContent;
    document.head.append(script);
    code.remove();
    resolve(window.Plotly);
  });
  return plotly;
}

// Plotly reads a few tags and entities in labels; so they are given none.
const label = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const lines = (...texts) => texts.filter(Boolean).map(label).join("<br>");

const plots = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const plot = plots.get(entry.target);
    if (!plot) continue;
    plot.seen = entry.isIntersecting;
    if (plot.seen && plot.stale) drawn(plot);
  }
}, { rootMargin: "250px" });

// make() gives {traces, layout}, or null where there is nothing to draw; click(point) what a click does.
function plotAt(place, title, make, click = null) {
  const node = el("div", { class: "plot", role: "img", "aria-label": title });
  place.append(node);
  plots.set(node, { node, make, click, stale: true, seen: false });
  watcher.observe(node);
  return node;
}

async function drawn(plot) {
  plot.stale = false;
  plot.dark = isDark();
  const found = plot.make();
  plot.node.hidden = !found;
  if (!found) return;
  const drawing = await library();
  await drawing.react(plot.node, found.traces, layoutOf(found.layout), {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  });
  if (plot.click && !plot.clicked) {
    plot.clicked = true;
    plot.node.on("plotly_click", (event) => plot.click(event.points[0]));
  }
  plot.node.dataset.drawn = "true";
}

function refresh(nodes = [...plots.keys()]) {
  for (const node of nodes) {
    const plot = plots.get(node);
    if (!plot) continue;
    plot.stale = true;
    node.hidden = false;
    if (plot.seen) drawn(plot);
  }
}
function forget(node) {
  watcher.unobserve(node);
  plots.delete(node);
  if (window.Plotly) window.Plotly.purge(node);
}

function layoutOf(own) {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const axis = (given = {}) => ({
    gridcolor: of("--grid"), linecolor: of("--line"), zeroline: false, automargin: true, ticks: "outside",
    tickcolor: of("--line"), exponentformat: "e", ...given,
    title: { text: given.title ?? "", standoff: 8, font: { size: 13, color: of("--quiet") } },
  });
  const { xaxis, yaxis, ...rest } = own;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: of("--ink") },
    margin: { l: 56, r: 16, t: 12, b: 44 }, autosize: true,
    hoverlabel: { bgcolor: of("--raised"), bordercolor: of("--line"), font: { color: of("--ink"), size: 12.5 }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: of("--quiet"), activecolor: of("--accent") },
    ...rest, xaxis: axis(xaxis), yaxis: axis(yaxis),
  };
}

function translucent(colour, part) {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return `rgba(${r},${g},${b},${part})`;
}

// A logarithmic axis whose labels are round numbers.
const logarithmic = (title) => ({ title, type: "log", minor: { ticks: "outside", ticklen: 3, showgrid: false } });

// One curve with its band: the band's lower side, its upper side filled down to it, the line.
function banded({ name, x, y, low, high, text, meta = null }) {
  const colour = colourOf(name);
  const traces = [];
  if (low && high) {
    const at = x.map((_, i) => i).filter((i) => known(low[i]) && known(high[i]) && known(x[i]));
    const side = { mode: "lines", line: { width: 0 }, hoverinfo: "skip", x: at.map((i) => x[i]) };
    traces.push({ ...side, y: at.map((i) => low[i]) });
    traces.push({ ...side, y: at.map((i) => high[i]), fill: "tonexty", fillcolor: translucent(colour, 0.14) });
  }
  traces.push({
    x, y, text, meta, mode: x.length < 14 ? "lines+markers" : "lines", hoverinfo: "text", connectgaps: true,
    line: { color: colour, dash: dashOf(name), width: 2 }, marker: { size: 5, color: colour, symbol: symbolOf(name) },
  });
  return traces;
}
