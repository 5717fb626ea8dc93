// The browser of samples. Everything from the run goes through textContent: no text of it is ever markup.
(() => {
  "use strict";
  const all = JSON.parse(document.getElementById("samples").textContent);
  const form = document.getElementById("filters");
  if (!form || all.length === 0) return;
  const list = document.getElementById("list");
  const detail = document.getElementById("sample");
  const filters = [["drawn", "drawn in"], ["stage", "stage"], ["step", "step"], ["outcome", "outcome"], ["set", "problems"]];
  const selects = {};
  const count = element("span", "");
  let shown = [];
  let current = -1;

  function element(tag, text, cls) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (cls) made.className = cls;
    return made;
  }

  function number(value) {
    if (value === null || value === undefined) return "none";
    return Number.isInteger(value) ? String(value) : value.toFixed(3);
  }

  function groupOf(sample) {
    return [sample.drawn, sample.stage, sample.step, sample.group].join(" ");
  }

  function tone(outcome) {
    return outcome === "pass" ? "pass" : outcome === "fail" ? "fail" : "odd";
  }

  function mark(outcome) {
    return { pass: "✓", fail: "✗", unparseable: "?" }[outcome] || "!";
  }

  for (const [key, label] of filters) {
    const values = [...new Set(all.map((sample) => sample[key]))];
    if (key === "step") values.sort((a, b) => a - b);
    if (values.length < 2) continue;
    const select = document.createElement("select");
    select.append(new Option("all", ""));
    for (const value of values) select.append(new Option(String(value).replace(/_/g, " ") || "–", String(value)));
    select.addEventListener("change", filter);
    const named = element("label", label);
    named.append(select);
    form.append(named);
    selects[key] = select;
  }
  form.append(count);
  form.addEventListener("submit", (event) => event.preventDefault());

  function filter() {
    const wanted = Object.entries(selects).filter(([, select]) => select.selectedIndex > 0);
    shown = all.filter((sample) => wanted.every(([key, select]) => String(sample[key]) === select.value));
    count.textContent = shown.length === 1 ? "1 sample" : shown.length + " samples";
    list.replaceChildren();
    let group = "";
    shown.forEach((sample, index) => {
      if (groupOf(sample) !== group) {
        const what = sample.drawn === "training" ? ", training step " + sample.step : ", " + sample.drawn;
        list.append(element("li", sample.stage + what, "head"));
        group = groupOf(sample);
      }
      const button = element("button");
      button.type = "button";
      button.append(
        element("span", mark(sample.outcome), tone(sample.outcome)),
        element("span", sample.problem, "id"),
        element("span", number(sample.reward)),
      );
      button.addEventListener("click", () => show(index));
      const item = element("li");
      item.append(button);
      list.append(item);
    });
    show(shown.length ? 0 : -1);
  }

  function show(index) {
    current = index;
    const buttons = list.querySelectorAll("button");
    buttons.forEach((button, at) => button.toggleAttribute("aria-current", at === index));
    detail.replaceChildren();
    if (index < 0) {
      detail.append(element("p", "No sample fits.", "aside"));
      return;
    }
    const button = buttons[index];
    const top = button.offsetTop - list.offsetTop;
    if (top < list.scrollTop + 24) list.scrollTop = top - 24;
    if (top + button.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = top + button.offsetHeight - list.clientHeight;
    }
    const sample = shown[index];
    const verdict = element("p");
    verdict.append(element("b", mark(sample.outcome) + " " + sample.outcome.replace(/_/g, " "), tone(sample.outcome)));
    if (sample.reason) verdict.append(": " + sample.reason);
    const facts = element("dl");
    const fact = (name, value) => facts.append(element("dt", name), element("dd", value));
    fact("reward", number(sample.reward) + (Object.keys(sample.parts).length
      ? " (" + Object.entries(sample.parts).map(([name, part]) => name + " " + number(part)).join(", ") + ")" : ""));
    if (sample.drawn === "training") fact("advantage", number(sample.advantage) + (sample.used ? "" : ", not in the update"));
    fact("verifier", sample.verifier + ", score " + number(sample.score) + (sample.fuel ? ", fuel " + sample.fuel : ""));
    fact("length", sample.tokens + " tokens, ended by " + sample.finish.replace(/_/g, " "));
    fact("drawn in", sample.drawn + ", step " + sample.step + ", sample " + sample.sample
      + (sample.attempt ? ", attempt " + sample.attempt : ""));
    const steps = element("ul", undefined, "steps");
    for (const step of sample.steps) {
      const item = element("li");
      item.append(element("span", step.held === undefined ? "·" : step.held ? "✓" : "✗",
        step.held === undefined ? "" : step.held ? "pass" : "fail"), " ", element("b", step.name));
      if (step.found) item.append(": " + step.found);
      if (step.score !== undefined) item.append(" (score " + number(step.score) + ")");
      steps.append(item);
    }
    const way = sample.steps.length ? [element("h4", "How the verdict came about"), steps] : [];
    detail.append(
      element("h3", sample.problem + " · " + sample.stage), verdict, facts, ...way,
      element("h4", "Prompt"), element("pre", sample.prompt),
      element("h4", "Completion"), element("pre", sample.completion),
    );
    detail.scrollTop = 0;
  }

  function step(by) {
    if (shown.length) show(Math.min(shown.length - 1, Math.max(0, current + by)));
  }

  function nextGroup() {
    const next = shown.findIndex((sample, at) => at > current && groupOf(sample) !== groupOf(shown[current]));
    if (next >= 0) show(next);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input, textarea")) return;
    const inList = list.contains(event.target);
    if (event.key === "j" || (inList && event.key === "ArrowDown")) step(1);
    else if (event.key === "k" || (inList && event.key === "ArrowUp")) step(-1);
    else if (event.key === "g") nextGroup();
    else return;
    event.preventDefault();
  });

  filter();
})();
