/** Symbol search with the keyboard: arrows choose, Enter opens. */

const input = document.getElementById("search-input");
const results = document.getElementById("search-results");
const options = () => [...results.querySelectorAll('[role="option"]')];

function select(option) {
  for (const one of options()) one.setAttribute("aria-selected", String(one === option));
  if (!option) return;
  input.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

input?.addEventListener("keydown", (event) => {
  const all = options();
  const now = all.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    select(all[(now + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]);
  } else if (event.key === "Enter" && all.length) {
    event.preventDefault();
    location.assign(all[Math.max(0, now)].href);
  }
});
