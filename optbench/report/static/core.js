"use strict";
// What all parts use. Everything in `data` may be anybody's words: it becomes text, never markup.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const data = read("page");
const kept = new Map();
function later(id) {
  if (!kept.has(id)) kept.set(id, read(id));
  return kept.get(id);
}

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (key === "class") node.className = value;
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const $ = (selector) => document.querySelector(selector);

// Numbers.
const known = (value) => typeof value === "number" && Number.isFinite(value);
function number(value, digits = 4) {
  if (!known(value)) return "";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(Math.max(0, digits - 2)).replace("e+", "e");
  return String(Number(value.toPrecision(digits)));
}
const whole = (value) => (known(value) ? value.toLocaleString("en-US", { maximumFractionDigits: 0 }) : "");
const pvalue = (value) => (!known(value) ? "" : value < 0.001 ? "< 0.001" : value.toFixed(3));
// To two digits of a spread, as `optbench compare` has it.
function spreadDecimals(spread, scale) {
  if (!known(spread) || spread <= 0) return null;
  return Math.min(8, Math.max(0, 1 - Math.floor(Math.log10(spread * scale))));
}
function score(value, spread, scale = 1) {
  if (!known(value)) return "";
  const decimals = spreadDecimals(spread, scale);
  return decimals === null || decimals > 6 ? number(value * scale) : (value * scale).toFixed(decimals);
}

// The same colour for a name everywhere: Okabe and Ito's, which colour-blind readers tell apart.
const LIGHT = ["#0072b2", "#d55e00", "#009e73", "#b5579a", "#b8860b", "#3d9bd1", "#6b5bb3", "#6f767d"];
const DARK = ["#5aaee8", "#ff8f4a", "#35c99c", "#e79ccb", "#f0c04a", "#9ad4f5", "#b1a4ef", "#b4bbc2"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x"];
const places = new Map(), others = new Map();
for (const workload of data.workloads) {
  for (const arm of workload.arms) if (!places.has(arm.name)) places.set(arm.name, places.size);
}
function placeOf(name) { // what is no arm, as an optimizer over its learning rates, has an order of its own
  if (places.has(name)) return places.get(name);
  if (!others.has(name)) others.set(name, others.size);
  return others.get(name);
}
const isDark = () => document.documentElement.dataset.theme === "dark";
const colourOf = (name) => (isDark() ? DARK : LIGHT)[placeOf(name) % LIGHT.length];
const dashOf = (name) => DASHES[Math.floor(placeOf(name) / LIGHT.length) % DASHES.length];
const symbolOf = (name) => SYMBOLS[Math.floor(placeOf(name) / LIGHT.length) % SYMBOLS.length];
const CSS_DASH = { solid: "solid", dash: "dashed", dot: "dotted", dashdot: "dashed", longdash: "dashed" };
function swatch(name) {
  const mark = el("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.borderTopColor = colourOf(name);
  mark.style.borderTopStyle = CSS_DASH[dashOf(name)];
  mark.dataset.name = name;
  return mark;
}

// What is chosen stands in the address, so that it can be sent to somebody, and gone back from.
const KEYS = ["q", "workload", "arm", "state", "run"];
const chosen = Object.fromEntries(KEYS.map((key) => [key, ""]));
const listeners = [];
function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const key of KEYS) chosen[key] = given.get(key) ?? "";
  if (chosen.workload && !data.workloads.some((each) => each.name === chosen.workload)) chosen.workload = "";
}
function choose(changes, replace = false) {
  Object.assign(chosen, changes);
  const said = new URLSearchParams(KEYS.filter((key) => chosen[key]).map((key) => [key, chosen[key]]));
  const address = location.href.split("#")[0] + (said.size ? `#${said}` : "#");
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  tellAll();
}
function tellAll() {
  for (const call of listeners) call();
}

// Which runs match.
const armOf = (run) => (run.a < 0 ? null : data.workloads[run.w].arms[run.a]);
const runById = new Map(data.runs.map((run) => [run.id, run]));
function words(run) {
  if (run.words === undefined) {
    const parts = [run.name, run.id, run.state, run.message, run.notes, run.problem, run.command, ...run.tags];
    run.words = [...parts, data.workloads[run.w].name, armOf(run)?.name ?? ""].join("\n").toLowerCase();
  }
  return run.words;
}
const asked = () => chosen.q.toLowerCase().split(/\s+/).filter(Boolean);
function matching() {
  const every = asked();
  return data.runs.filter(
    (run) =>
      (!chosen.workload || data.workloads[run.w].name === chosen.workload) &&
      (!chosen.arm || armOf(run)?.name === chosen.arm) &&
      (!chosen.state || run.state === chosen.state) &&
      every.every((word) => words(run).includes(word)),
  );
}
function current() {
  const place = data.workloads.findIndex((each) => each.name === chosen.workload);
  return place < 0 ? 0 : place;
}
