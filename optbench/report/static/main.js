// The page: what stands where, and what happens when something is chosen.

function options(select, values, all) {
  select.replaceChildren(el("option", { value: "" }, all), ...values.map((value) => el("option", { value }, value)));
}
function fillBar() {
  const places = new Set(data.workloads.filter((w) => !chosen.workload || w.name === chosen.workload));
  const arms = [...new Set([...places].flatMap((w) => w.arms.map((arm) => arm.name)))];
  if (chosen.arm && !arms.includes(chosen.arm)) arms.push(chosen.arm);
  options($("#by-arm"), arms, "All arms");
  $("#by-workload").value = chosen.workload;
  $("#by-arm").value = chosen.arm;
  $("#by-state").value = chosen.state;
  if ($("#filter").value !== chosen.q) $("#filter").value = chosen.q;
  $("#clear").disabled = !(chosen.q || chosen.workload || chosen.arm || chosen.state);
}
function bar() {
  options($("#by-workload"), data.workloads.map((w) => w.name), "All workloads");
  options($("#by-state"), [...new Set(data.runs.map((run) => run.state))].sort(), "All states");
  $("#by-workload").parentElement.hidden = data.workloads.length < 2;
  let typed = 0;
  $("#filter").addEventListener("input", (event) => {
    clearTimeout(typed);
    typed = setTimeout(() => choose({ q: event.target.value.trim() }, true), 120);
  });
  for (const key of ["workload", "arm", "state"]) {
    $(`#by-${key}`).addEventListener("change", (event) => choose({ [key]: event.target.value, ...(key === "workload" ? { arm: "" } : {}) }));
  }
  $("#clear").addEventListener("click", () => {
    $("#filter").value = "";
    choose({ q: "", workload: "", arm: "", state: "" });
    $("#filter").focus();
  });
}

function heading() {
  const names = data.folders.map((folder) => folder.replace(/\/+$/, "").split("/").slice(-2).join("/"));
  const title = names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  $("#title").textContent = title;
  document.title = `${title} - optbench report`;
  const arms = new Set(data.workloads.flatMap((w) => w.arms.map((arm) => arm.name))).size;
  const days = data.runs.map((run) => run.started.slice(0, 10)).filter(Boolean).sort();
  const span = days.length ? (days[0] === days.at(-1) ? days[0] : `${days[0]} to ${days.at(-1)}`) : "";
  const parts = [many(data.runs.length, "run"), many(arms, "arm"), many(data.workloads.length, "workload"), span];
  $("#counts").textContent = parts.filter(Boolean).join(" · ");
  $("#made").textContent = `Made by optbench ${data.version} from run folders alone. How it is tested: docs/statistics.md. Curves are thinned.`;
}

const MOST_WARNINGS = 12;
function warnings() {
  const groups = [...data.workloads.map((w) => [w.name, w.warnings]), ["What was left out", data.warnings]].filter(([, texts]) => texts.length);
  $("#warnings").hidden = !groups.length;
  const list = (texts) => el("ul", { class: "list" }, texts.map((text) => el("li", {}, text)));
  for (const [name, texts] of groups) {
    const place = $("#warnings .body");
    if (data.workloads.length > 1 || texts === data.warnings) place.append(el("h3", {}, name));
    if (texts.length <= MOST_WARNINGS) place.append(list(texts));
    else place.append(list(texts.slice(0, MOST_WARNINGS)), el("details", {}, el("summary", {}, `${whole(texts.length - MOST_WARNINGS)} more`), list(texts.slice(MOST_WARNINGS))));
  }
}

function contents() {
  const links = [...document.querySelectorAll("main section")].filter((node) => !node.hidden).map((node) =>
    el("a", { href: `#${node.id}`, on: { click: jump } }, node.querySelector("h2").textContent));
  $("#contents").replaceChildren(...links);
}

// Light or dark: as the system has it, until somebody says otherwise.
const system = matchMedia("(prefers-color-scheme: dark)");
let wanted = "";
try {
  wanted = localStorage.getItem("optbench-theme") ?? "";
} catch { /* pages of files may have no storage */ }
function paint() {
  const dark = wanted ? wanted === "dark" : system.matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("#theme").textContent = dark ? "Light" : "Dark";
  for (const mark of document.querySelectorAll(".swatch")) mark.style.borderTopColor = colourOf(mark.dataset.name);
  refresh([...plots.values()].filter((plot) => plot.dark !== dark).map((plot) => plot.node));
}
function switchTheme() {
  wanted = isDark() ? "light" : "dark";
  try {
    localStorage.setItem("optbench-theme", wanted);
  } catch { /* it lasts as long as the page */ }
  paint();
}

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "checkbox";
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    $("#filter").focus();
    $("#filter").select();
  } else if (event.key === "Escape" && chosen.run) {
    choose({ run: "" });
  } else if (event.key === "Escape" && event.target.id === "filter" && chosen.q) {
    event.target.value = "";
    choose({ q: "" }, true);
  }
}

// What is printed is light, and has its plots.
async function beforePrint() {
  document.documentElement.dataset.theme = "light";
  for (const plot of plots.values()) if (plot.stale || isDark() !== plot.dark) drawn(plot);
}

function start() {
  fromAddress();
  document.documentElement.dataset.theme = "light";
  heading();
  bar();
  $("#answer .cards").append(...data.workloads.map(card));
  leaderboard();
  runsTable();
  fillProfiles();
  warnings();
  paint();
  listeners.push(fillBar, fillBoard, fillCurves, fillSearches, fillRuns, contents, fillDetails);
  tellAll();
  $("#leaderboard").hidden = !data.workloads.some((w) => w.arms.length);
  contents();
  $("#theme").addEventListener("click", switchTheme);
  system.addEventListener("change", paint);
  document.addEventListener("keydown", keys);
  for (const moved of ["popstate", "hashchange"]) {
    window.addEventListener(moved, () => {
      fromAddress();
      tellAll();
    });
  }
  window.addEventListener("beforeprint", beforePrint);
  window.addEventListener("afterprint", paint);
  document.documentElement.dataset.ready = "true";
}
start();
