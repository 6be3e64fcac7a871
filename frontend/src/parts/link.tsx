// A link to another part of the page: it can be opened in a tab of its own, and goes there without a reload.

import type { ComponentChildren } from "preact";
import { go, link } from "../address";

interface Props {
  to: Record<string, string | null>;
  class?: string;
  current?: "page" | "true" | undefined;
  label?: string;
  children: ComponentChildren;
}

export function Link({ to, current, label, children, ...rest }: Props) {
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={link(to)} onClick={follow} aria-current={current} aria-label={label} {...rest}>
      {children}
    </a>
  );
}
