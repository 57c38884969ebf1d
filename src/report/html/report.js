"use strict";
// Sorts tables and leads through disagreements. Everything is in the page before this runs, and nothing is fetched or stored.
(() => {
  const number = cell => (cell && cell.dataset.n !== undefined ? Number(cell.dataset.n) : NaN);
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "descending" || !head.classList.contains("n") && !head.hasAttribute("aria-sort");
        const sign = down ? 1 : -1;
        const rows = [...body.rows].sort((one, other) => {
          const [a, b] = [one.cells[at], other.cells[at]];
          const [x, y] = [number(a), number(b)];
          if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
          return sign * (Number.isNaN(x) ? a.textContent.localeCompare(b.textContent) : x - y);
        });
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "ascending" : "descending");
        body.append(...rows);
      });
    });
  }

  const PAGE = 8;
  for (const browser of document.querySelectorAll(".browser")) {
    const controls = browser.querySelector(".controls");
    const cases = [...browser.querySelectorAll(".case")];
    const words = cases.map(one => one.textContent.toLowerCase());
    const said = controls.querySelector("output");
    const [back, further] = [...controls.querySelectorAll("[data-step]")];
    let start = 0;
    let found = cases;
    const show = () => {
      const page = new Set(found.slice(start, start + PAGE));
      for (const one of cases) one.hidden = !page.has(one);
      said.value = found.length ? `${start + 1}–${Math.min(start + PAGE, found.length)} of ${found.length}` : "none of these";
      back.disabled = start === 0;
      further.disabled = start + PAGE >= found.length;
    };
    const filter = () => {
      const wanted = by => { const control = controls.querySelector(`[data-by=${by}]`); return control ? control.value : ""; };
      const [rater, cell, text] = [wanted("raters"), wanted("cells"), wanted("words").toLowerCase()];
      const is = (asked, given) => asked === "" || asked === given;
      found = cases.filter((one, at) => words[at].includes(text) && one.dataset.found.split(" ").some(mark => {
        const [who, what] = mark.split(":");
        return is(rater, who) && is(cell, what);
      }));
      start = 0;
      show();
    };
    const step = by => {
      start = Math.max(0, Math.min(start + by * PAGE, Math.floor(Math.max(0, found.length - 1) / PAGE) * PAGE));
      show();
    };
    controls.hidden = false;
    controls.addEventListener("input", event => { if (event.target.dataset.by) filter(); });
    for (const button of [back, further]) button.addEventListener("click", () => step(Number(button.dataset.step)));
    browser.addEventListener("keydown", event => {
      const at = found.indexOf(event.target);
      if (at < 0 || !["j", "k"].includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
      const next = found[at + (event.key === "j" ? 1 : -1)];
      if (!next) return;
      if (next.hidden) step(event.key === "j" ? 1 : -1);
      next.focus();
      event.preventDefault();
    });
    filter();
  }

  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
})();
