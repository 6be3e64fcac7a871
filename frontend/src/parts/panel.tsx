// A titled part of a view, with what can be done about it at its right.

import type { ComponentChildren } from "preact";

export function Panel(props: { title: string; note?: ComponentChildren; actions?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <section class="panel">
      <header>
        <h2>{props.title}</h2>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.note && <p class="note">{props.note}</p>}
      {props.children}
    </section>
  );
}

/** What stands where there is nothing to list. */
export function Nothing({ children }: { children: ComponentChildren }) {
  return <p class="nothing">{children}</p>;
}
