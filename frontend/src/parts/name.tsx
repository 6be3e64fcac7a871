// A name that users gave: on one line, cut where it is too long; whole for who points at it or copies it.

export function Name({ text }: { text: string }) {
  return (
    <code class="name" title={text}>
      {text}
    </code>
  );
}
