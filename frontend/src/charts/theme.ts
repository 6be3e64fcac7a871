// The style sheet's colours for what is drawn on a canvas, and word when they are others.

import { store } from "../store";

export type Theme = "auto" | "light" | "dark";

const KEY = "millpond-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = store<Theme>(kept());
apply(theme.get());

function kept(): Theme {
  const found = localStorage.getItem(KEY);
  return found === "light" || found === "dark" ? found : "auto";
}

function apply(choice: Theme): void {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
}

/** Choose light, dark, or what the system says; kept for the next visit. */
export function choose(choice: Theme): void {
  if (choice === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, choice);
  apply(choice);
  theme.set(choice);
}

/** Be told when colours are others; returns how to end that. */
export function onTheme(hear: () => void): () => void {
  dark.addEventListener("change", hear);
  const forget = theme.subscribe(hear);
  return () => {
    dark.removeEventListener("change", hear);
    forget();
  };
}

const probe = document.createElement("i"); // only its colour is looked at
probe.hidden = true;

/** The value of a colour variable in the theme of now, with an opacity. */
export function colour(name: string, opacity = 1): string {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  const [red, green, blue] = getComputedStyle(probe).color.match(/[\d.]+/g)!;
  return `rgb(${red} ${green} ${blue} / ${opacity})`;
}
