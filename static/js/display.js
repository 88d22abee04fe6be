/** Theme, palette and flash: chosen here, kept in a cookie, painted by the server next time. */

const COOKIE = "openbell_display";
const NAMES = ["theme", "palette", "flash"];
const YEAR_S = 31536000;
const root = document.documentElement;

export function radioMark(group, value) {
  for (const radio of group.querySelectorAll('[role="radio"]')) {
    const on = radio.value === value;
    radio.setAttribute("aria-checked", String(on));
    radio.tabIndex = on ? 0 : -1;
  }
}

function groupsMark() {
  for (const group of document.querySelectorAll("[data-preference]")) radioMark(group, root.dataset[group.dataset.preference]);
  for (const group of document.querySelectorAll("[data-local-preference]")) {
    radioMark(group, localStorage.getItem(group.dataset.localPreference) ?? "on");
  }
}

function preferenceSet(name, value) {
  root.dataset[name] = value;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${COOKIE}=${NAMES.map((one) => root.dataset[one]).join(".")}; path=/; max-age=${YEAR_S}; SameSite=Lax${secure}`;
  groupsMark();
  document.dispatchEvent(new Event("display-changed"));
}

function themeToggle() {
  const dark = root.dataset.theme === "dark" || (root.dataset.theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  preferenceSet("theme", dark ? "light" : "dark");
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-toggle]")) themeToggle();
  const radio = event.target.closest('[role="radio"]');
  const chosen = radio?.closest("[data-preference]");
  if (chosen) preferenceSet(chosen.dataset.preference, radio.value);
  const local = radio?.closest("[data-local-preference]");
  if (local) {
    localStorage.setItem(local.dataset.localPreference, radio.value);
    groupsMark();
  }
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("display-changed")));
groupsMark();
