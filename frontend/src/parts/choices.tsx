// One choice of a few, such as the range: links, of which one is the current.

import { Link } from "./link";

export function Choices(props: { label: string; name: string; current: string; options: readonly (readonly [value: string, text: string])[] }) {
  return (
    <div class="choices" role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <Link key={value} to={{ [props.name]: value }} current={value === props.current ? "true" : undefined}>
          {text}
        </Link>
      ))}
    </div>
  );
}
