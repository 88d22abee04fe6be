/** Arrow keys inside radio groups and tab lists, as their roles promise. */

const NEXT = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

document.addEventListener("keydown", (event) => {
  const item = event.target.closest?.('[role="radio"], [role="tab"]');
  const step = NEXT[event.key];
  if (!item || !step || event.ctrlKey || event.altKey || event.metaKey) return;
  const role = item.getAttribute("role");
  const group = item.closest(role === "radio" ? '[role="radiogroup"]' : '[role="tablist"]');
  const all = [...group.querySelectorAll(`[role="${role}"]`)].filter((one) => one.offsetParent !== null);
  const next = all[(all.indexOf(item) + step + all.length) % all.length];
  event.preventDefault();
  event.stopPropagation();
  next.focus();
  next.click();
});

export function tabMark(tab) {
  for (const one of tab.closest('[role="tablist"]').querySelectorAll('[role="tab"]')) {
    const on = one === tab;
    one.setAttribute("aria-selected", String(on));
    one.tabIndex = on ? 0 : -1;
  }
}
